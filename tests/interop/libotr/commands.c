/* The commands: one function each, found by name in the table at the end.
 *
 * A command adds its results to "done"; whatever libotr does on the way is emitted by the callbacks before it.
 */
#include "peer.h"
#include "unused.h"

#include <libotr/privkey.h>
#include <libotr/sm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static const char *const auth_states[] = {
    [OTRL_AUTHSTATE_NONE] = "none",
    [OTRL_AUTHSTATE_AWAITING_DHKEY] = "awaiting_dhkey",
    [OTRL_AUTHSTATE_AWAITING_REVEALSIG] = "awaiting_revealsig",
    [OTRL_AUTHSTATE_AWAITING_SIG] = "awaiting_sig",
    [OTRL_AUTHSTATE_V1_SETUP] = "v1_setup",
};

static const char *const offer_states[] = {
    [OFFER_NOT] = "not",
    [OFFER_SENT] = "sent",
    [OFFER_REJECTED] = "rejected",
    [OFFER_ACCEPTED] = "accepted",
};

static const char *const message_types[] = {
    [OTRL_MSGTYPE_NOTOTR] = "nototr",
    [OTRL_MSGTYPE_TAGGEDPLAINTEXT] = "tagged",
    [OTRL_MSGTYPE_QUERY] = "query",
    [OTRL_MSGTYPE_DH_COMMIT] = "dh_commit",
    [OTRL_MSGTYPE_DH_KEY] = "dh_key",
    [OTRL_MSGTYPE_REVEALSIG] = "revealsig",
    [OTRL_MSGTYPE_SIGNATURE] = "signature",
    [OTRL_MSGTYPE_V1_KEYEXCH] = "v1_keyexch",
    [OTRL_MSGTYPE_DATA] = "data",
    [OTRL_MSGTYPE_ERROR] = "error",
    [OTRL_MSGTYPE_UNKNOWN] = "unknown",
};

static void add_gcrypt_error(Json *done, gcry_error_t error)
{
    if (error)
        add_string(done, "error", gcry_strerror(error));
}

/* Whom the command is about. */
static const char *peer_of(Json *command)
{
    return get_string(command, "peer", "peer");
}

static otrl_instag_t instance_of(Json *command)
{
    const char *instance = get_string(command, "instance", "best");

    if (strcmp(instance, "best") == 0)
        return OTRL_INSTAG_BEST;
    if (strcmp(instance, "recent") == 0)
        return OTRL_INSTAG_RECENT;
    if (strcmp(instance, "master") == 0)
        return OTRL_INSTAG_MASTER;
    return (otrl_instag_t) strtoul(instance, NULL, 0);
}

/* NULL when there is no conversation yet. */
static ConnContext *find_context(Json *command)
{
    return otrl_context_find(self.userstate, peer_of(command), self.account, self.protocol,
                             instance_of(command), 0, NULL, NULL, NULL);
}

/* The context of the command if it is encrypted; else NULL, and the error is noted. */
static ConnContext *encrypted_context(Json *command, Json *done)
{
    ConnContext *context = find_context(command);

    if (context != NULL && context->msgstate == OTRL_MSGSTATE_ENCRYPTED)
        return context;
    add_string(done, "error", "not encrypted");
    return NULL;
}

static void add_tlvs(Json *object, const OtrlTLV *tlvs)
{
    Json *array = json_object_new_array();

    for (; tlvs != NULL; tlvs = tlvs->next) {
        Json *entry = json_object_new_object();

        add_number(entry, "type", tlvs->type);
        add_hex(entry, "data_hex", tlvs->data, tlvs->len);
        json_object_array_add(array, entry);
    }
    json_object_object_add(object, "tlvs", array);
}

static OtrlTLV *tlvs_of(Json *command)
{
    Json *array;
    OtrlTLV *first = NULL;
    OtrlTLV **link = &first;

    if (!json_object_object_get_ex(command, "tlvs", &array))
        return NULL;
    for (size_t i = 0; i < json_object_array_length(array); i++) {
        Json *entry = json_object_array_get_idx(array, i);
        size_t length;
        unsigned char *data = get_bytes(entry, "data", &length);
        unsigned char nothing[1] = {0};

        *link = otrl_tlv_new(get_number(entry, "type", 0), length, data != NULL ? data : nothing);
        link = &(*link)->next;
        free(data);
    }
    return first;
}

static void on_genkey(UNUSED Json *command, Json *done)
{
    add_gcrypt_error(done, generate_key());
    add_own_fingerprint(done);
}

static void on_fingerprint(UNUSED Json *command, Json *done)
{
    add_own_fingerprint(done);
}

static void on_query(Json *command, UNUSED Json *done)
{
    char *query = otrl_proto_default_query_msg(self.account, self.policy);

    inject(peer_of(command), query);
    free(query);
}

static OtrlFragmentPolicy fragment_policy_of(Json *command)
{
    const char *policy = get_string(command, "frag", "all");

    if (strcmp(policy, "skip") == 0)
        return OTRL_FRAGMENT_SEND_SKIP;
    if (strcmp(policy, "allbutfirst") == 0)
        return OTRL_FRAGMENT_SEND_ALL_BUT_FIRST;
    if (strcmp(policy, "allbutlast") == 0)
        return OTRL_FRAGMENT_SEND_ALL_BUT_LAST;
    return OTRL_FRAGMENT_SEND_ALL;
}

static void on_send(Json *command, Json *done)
{
    size_t length;
    unsigned char *given = get_bytes(command, "text", &length);
    const char *text = given != NULL ? (char *) given : "";
    char *wire = NULL;
    OtrlTLV *tlvs = tlvs_of(command);
    OtrlFragmentPolicy fragments = fragment_policy_of(command);
    gcry_error_t error;

    error = otrl_message_sending(self.userstate, &callbacks, NULL, self.account, self.protocol,
                                 peer_of(command), instance_of(command), text, tlvs, &wire, fragments, NULL,
                                 NULL, NULL);
    add_gcrypt_error(done, error);
    if (!error && fragments != OTRL_FRAGMENT_SEND_ALL) {
        /* What libotr left for the application to put on the wire itself. */
        add_text(done, "wire", wire != NULL ? wire : text);
    } else if (!error && wire == NULL) {
        /* Plain text that libotr lets pass unchanged: it injected nothing. */
        inject(peer_of(command), text);
    }
    otrl_message_free(wire);
    otrl_tlv_free(tlvs);
    free(given);
}

static void emit_delivery(const char *sender, const char *text, bool changed, const ConnContext *context,
                          const OtrlTLV *tlvs)
{
    Json *event = event_new("deliver");

    add_string(event, "from", sender);
    add_text(event, "text", text);
    add_number(event, "changed", changed);
    if (context != NULL) {
        add_number(event, "encrypted", context->msgstate == OTRL_MSGSTATE_ENCRYPTED);
        add_number(event, "instance", context->their_instance);
    }
    if (tlvs != NULL)
        add_tlvs(event, tlvs);
    event_emit(event);
}

static void receive(const char *sender, const char *wire)
{
    char *text = NULL;
    OtrlTLV *tlvs = NULL;
    ConnContext *context = NULL;
    bool internal = otrl_message_receiving(self.userstate, &callbacks, NULL, self.account, self.protocol,
                                           sender, wire, &text, &tlvs, &context, NULL, NULL);

    if (!internal) {
        emit_delivery(sender, text != NULL ? text : wire, text != NULL, context, tlvs);
    } else if (tlvs != NULL) {
        Json *event = event_new("tlvs");

        add_string(event, "from", sender);
        add_tlvs(event, tlvs);
        event_emit(event);
    }
    otrl_tlv_free(tlvs);
    otrl_message_free(text);
}

static void on_recv(Json *command, Json *done)
{
    size_t length;
    unsigned char *wire = get_bytes(command, "wire", &length);

    if (wire != NULL)
        receive(peer_of(command), (char *) wire);
    else
        add_string(done, "error", "wire missing");
    free(wire);
}

static void on_smp(Json *command, Json *done)
{
    size_t secret_length;
    size_t question_length;
    unsigned char *secret = get_bytes(command, "secret", &secret_length);
    unsigned char *question = get_bytes(command, "question", &question_length);
    ConnContext *context = encrypted_context(command, done);

    if (context != NULL && question != NULL)
        otrl_message_initiate_smp_q(self.userstate, &callbacks, NULL, context, (char *) question, secret,
                                    secret_length);
    else if (context != NULL)
        otrl_message_initiate_smp(self.userstate, &callbacks, NULL, context, secret, secret_length);
    free(secret);
    free(question);
}

static void on_smp_respond(Json *command, Json *done)
{
    size_t length;
    unsigned char *secret = get_bytes(command, "secret", &length);
    ConnContext *context = encrypted_context(command, done);

    if (context != NULL)
        otrl_message_respond_smp(self.userstate, &callbacks, NULL, context, secret, length);
    free(secret);
}

static void on_smp_abort(Json *command, Json *done)
{
    ConnContext *context = find_context(command);

    if (context != NULL && context->smstate != NULL)
        otrl_message_abort_smp(self.userstate, &callbacks, NULL, context);
    else
        add_string(done, "error", "no context");
}

static void on_symkey(Json *command, Json *done)
{
    unsigned char key[OTRL_EXTRAKEY_BYTES];
    unsigned char nothing[1] = {0};
    size_t length;
    unsigned char *data = get_bytes(command, "data", &length);
    ConnContext *context = encrypted_context(command, done);

    if (context != NULL) {
        gcry_error_t error = otrl_message_symkey(self.userstate, &callbacks, NULL, context,
                                                 get_number(command, "use", 0),
                                                 data != NULL ? data : nothing, length, key);

        add_gcrypt_error(done, error);
        if (!error)
            add_hex(done, "key", key, sizeof key);
    }
    free(data);
}

static void on_heartbeat(Json *command, Json *done)
{
    char *message = NULL;
    ConnContext *context = encrypted_context(command, done);

    if (context == NULL)
        return;
    gcry_error_t error =
        otrl_proto_create_data(&message, context, "", NULL, OTRL_MSGFLAGS_IGNORE_UNREADABLE, NULL);

    add_gcrypt_error(done, error);
    if (!error)
        inject(peer_of(command), message);
    free(message);
}

static void on_end(Json *command, UNUSED Json *done)
{
    otrl_message_disconnect_all_instances(self.userstate, &callbacks, NULL, self.account, self.protocol,
                                          peer_of(command));
}

static void on_trust(Json *command, Json *done)
{
    ConnContext *context = find_context(command);

    if (context == NULL || context->active_fingerprint == NULL) {
        add_string(done, "error", "no fingerprint");
        return;
    }
    otrl_context_set_trust(context->active_fingerprint, get_string(command, "value", "verified"));
    save_fingerprints();
}

static Json *session_keys(const DH_sesskeys *keys, int ours, int theirs)
{
    Json *entry = json_object_new_object();

    add_number(entry, "i", ours);
    add_number(entry, "j", theirs);
    add_number(entry, "set", keys->sendenc != NULL);
    add_hex(entry, "sendctr", keys->sendctr, 8);
    add_hex(entry, "rcvctr", keys->rcvctr, 8);
    add_hex(entry, "sendmac", keys->sendmackey, 20);
    add_hex(entry, "rcvmac", keys->rcvmackey, 20);
    add_number(entry, "rcvmacused", keys->rcvmacused);
    add_hex(entry, "extrakey", keys->extrakey, OTRL_EXTRAKEY_BYTES);
    return entry;
}

static void emit_status(ConnContext *context)
{
    Json *event = event_new("context");
    ConnContextPriv *hidden = context->context_priv;
    Json *keys = json_object_new_array();

    add_context(event, context);
    add_string(event, "kind", context->m_context == context ? "master" : "child");
    add_string(event, "authstate", auth_states[context->auth.authstate]);
    add_string(event, "otr_offer", offer_states[context->otr_offer]);
    add_number(event, "our_keyid", hidden->our_keyid);
    add_number(event, "their_keyid", hidden->their_keyid);
    add_number(event, "generation", hidden->generation);
    add_number(event, "may_retransmit", hidden->may_retransmit);
    add_text(event, "lastmessage", hidden->lastmessage);
    add_number(event, "saved_mac_keys", hidden->numsavedkeys);
    add_number(event, "fragment_k", hidden->fragment_k);
    add_number(event, "fragment_n", hidden->fragment_n);
    add_number(event, "fragment_len", hidden->fragment_len);
    add_hex(event, "ssid", context->sessionid, context->sessionid_len);
    if (context->active_fingerprint != NULL) {
        add_hex(event, "fingerprint", context->active_fingerprint->fingerprint, 20);
        add_string(event, "trust", context->active_fingerprint->trust);
    }
    if (context->smstate != NULL) {
        /* libotr counts its expected SMP messages from 0, the protocol from 1. */
        add_number(event, "smp_expect", context->smstate->nextExpected + 1);
        add_number(event, "smp_prog", context->smstate->sm_prog_state);
    }
    add_mpi(event, "our_dh_pub", hidden->our_dh_key.pub);
    add_mpi(event, "our_old_dh_pub", hidden->our_old_dh_key.pub);
    add_mpi(event, "their_y", hidden->their_y);
    add_mpi(event, "their_old_y", hidden->their_old_y);
    for (int ours = 0; ours < 2; ours++)
        for (int theirs = 0; theirs < 2; theirs++)
            json_object_array_add(keys, session_keys(&hidden->sesskeys[ours][theirs], ours, theirs));
    json_object_object_add(event, "sesskeys", keys);
    event_emit(event);
}

static void on_status(UNUSED Json *command, UNUSED Json *done)
{
    for (ConnContext *context = self.userstate->context_root; context != NULL; context = context->next)
        emit_status(context);
}

static void on_policy(Json *command, Json *done)
{
    if (!parse_policy(get_string(command, "value", ""), &self.policy))
        add_string(done, "error", "bad policy");
}

static void on_mms(Json *command, UNUSED Json *done)
{
    self.max_message_size = (int) get_number(command, "value", 0);
}

static void on_set(Json *command, UNUSED Json *done)
{
    const char *prefix = get_string(command, "resent_prefix", NULL);

    self.peer_logged_in = get_number(command, "logged_in", self.peer_logged_in);
    self.send_errors = get_number(command, "send_errors", self.send_errors);
    if (prefix != NULL) {
        free(self.resent_prefix);
        self.resent_prefix = strdup(prefix);
    }
}

static void on_clock(Json *command, Json *done)
{
    add_number(done, "now", clock_advance(get_number(command, "add", 0)));
}

static void on_poll(UNUSED Json *command, UNUSED Json *done)
{
    otrl_message_poll(self.userstate, &callbacks, NULL);
}

/* What libotr's parsers make of a text, without any conversation. */
static void on_msgtype(Json *command, Json *done)
{
    size_t length;
    unsigned char *given = get_bytes(command, "wire", &length);
    const char *wire = (char *) given;
    const char *tag_start;
    const char *tag_end;

    if (wire == NULL) {
        add_string(done, "error", "wire missing");
        return;
    }
    add_string(done, "type", message_types[otrl_proto_message_type(wire)]);
    add_number(done, "version", otrl_proto_message_version(wire));
    add_number(done, "query_best", otrl_proto_query_bestversion(wire, self.policy));
    add_number(done, "tag_best",
               otrl_proto_whitespace_bestversion(wire, &tag_start, &tag_end, self.policy));
    if (tag_start != NULL) {
        add_number(done, "tag_start", tag_start - wire);
        add_number(done, "tag_end", tag_end - wire);
    }
    free(given);
}

static void on_cpu(UNUSED Json *command, Json *done)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    add_number(done, "user_us", usage.ru_utime.tv_sec * 1000000LL + usage.ru_utime.tv_usec);
    add_number(done, "sys_us", usage.ru_stime.tv_sec * 1000000LL + usage.ru_stime.tv_usec);
}

static void on_quit(UNUSED Json *command, UNUSED Json *done) {}

static const struct {
    const char *name;
    void (*run)(Json *command, Json *done);
} commands[] = {
    {"clock", on_clock},
    {"cpu", on_cpu},
    {"end", on_end},
    {"fingerprint", on_fingerprint},
    {"genkey", on_genkey},
    {"heartbeat", on_heartbeat},
    {"mms", on_mms},
    {"msgtype", on_msgtype},
    {"policy", on_policy},
    {"poll", on_poll},
    {"query", on_query},
    {"quit", on_quit},
    {"recv", on_recv},
    {"send", on_send},
    {"set", on_set},
    {"smp", on_smp},
    {"smp_abort", on_smp_abort},
    {"smp_respond", on_smp_respond},
    {"status", on_status},
    {"symkey", on_symkey},
    {"trust", on_trust},
};

bool run_command(Json *command)
{
    const char *name = get_string(command, "cmd", "");
    const char *id = get_string(command, "id", NULL);
    Json *done = event_new("done");
    bool known = false;

    add_string(done, "cmd", name);
    if (id != NULL)
        add_string(done, "id", id);
    for (size_t i = 0; i < sizeof commands / sizeof *commands && !known; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            known = true;
            commands[i].run(command, done);
        }
    }
    if (!known)
        add_string(done, "error", "unknown command");
    event_emit(done);
    return strcmp(name, "quit") == 0;
}
