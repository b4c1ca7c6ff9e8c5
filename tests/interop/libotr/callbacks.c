/* What libotr asks of its application: every callback becomes one event line. */
#include "peer.h"
#include "unused.h"

#include <errno.h>
#include <libotr/privkey.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const message_states[] = {"plaintext", "encrypted", "finished"};

static const char *const message_events[] = {
    [OTRL_MSGEVENT_NONE] = "none",
    [OTRL_MSGEVENT_ENCRYPTION_REQUIRED] = "encryption_required",
    [OTRL_MSGEVENT_ENCRYPTION_ERROR] = "encryption_error",
    [OTRL_MSGEVENT_CONNECTION_ENDED] = "connection_ended",
    [OTRL_MSGEVENT_SETUP_ERROR] = "setup_error",
    [OTRL_MSGEVENT_MSG_REFLECTED] = "msg_reflected",
    [OTRL_MSGEVENT_MSG_RESENT] = "msg_resent",
    [OTRL_MSGEVENT_RCVDMSG_NOT_IN_PRIVATE] = "rcvdmsg_not_in_private",
    [OTRL_MSGEVENT_RCVDMSG_UNREADABLE] = "rcvdmsg_unreadable",
    [OTRL_MSGEVENT_RCVDMSG_MALFORMED] = "rcvdmsg_malformed",
    [OTRL_MSGEVENT_LOG_HEARTBEAT_RCVD] = "log_heartbeat_rcvd",
    [OTRL_MSGEVENT_LOG_HEARTBEAT_SENT] = "log_heartbeat_sent",
    [OTRL_MSGEVENT_RCVDMSG_GENERAL_ERR] = "rcvdmsg_general_err",
    [OTRL_MSGEVENT_RCVDMSG_UNENCRYPTED] = "rcvdmsg_unencrypted",
    [OTRL_MSGEVENT_RCVDMSG_UNRECOGNIZED] = "rcvdmsg_unrecognized",
    [OTRL_MSGEVENT_RCVDMSG_FOR_OTHER_INSTANCE] = "rcvdmsg_for_other_instance",
};

static const char *const smp_events[] = {
    [OTRL_SMPEVENT_NONE] = "none",
    [OTRL_SMPEVENT_ERROR] = "error",
    [OTRL_SMPEVENT_ABORT] = "abort",
    [OTRL_SMPEVENT_CHEATED] = "cheated",
    [OTRL_SMPEVENT_ASK_FOR_ANSWER] = "ask_for_answer",
    [OTRL_SMPEVENT_ASK_FOR_SECRET] = "ask_for_secret",
    [OTRL_SMPEVENT_IN_PROGRESS] = "in_progress",
    [OTRL_SMPEVENT_SUCCESS] = "success",
    [OTRL_SMPEVENT_FAILURE] = "failure",
};

static const char *const error_texts[] = {
    [OTRL_ERRCODE_NONE] = "",
    [OTRL_ERRCODE_ENCRYPTION_ERROR] = "Error occurred encrypting message.",
    [OTRL_ERRCODE_MSG_NOT_IN_PRIVATE] = "You sent encrypted data to peer, who wasn't expecting it.",
    [OTRL_ERRCODE_MSG_UNREADABLE] = "You transmitted an unreadable encrypted message.",
    [OTRL_ERRCODE_MSG_MALFORMED] = "You transmitted a malformed data message.",
};

void add_context(Json *object, const ConnContext *context)
{
    if (context == NULL)
        return;
    add_string(object, "peer", context->username);
    add_number(object, "our_instance", context->our_instance);
    add_number(object, "their_instance", context->their_instance);
    add_string(object, "msgstate", message_states[context->msgstate]);
    add_number(object, "version", context->protocol_version);
}

void inject(const char *recipient, const char *message)
{
    Json *event = event_new("inject");

    add_string(event, "to", recipient);
    add_text(event, "wire", message);
    event_emit(event);
}

void save_fingerprints(void)
{
    if (self.fingerprint_file != NULL)
        otrl_privkey_write_fingerprints(self.userstate, self.fingerprint_file);
}

/* Without a file of its own a key still needs one to be written to: libotr has no other way. */
gcry_error_t generate_key(void)
{
    gcry_error_t error;
    FILE *unnamed;

    if (self.key_file != NULL)
        return otrl_privkey_generate(self.userstate, self.key_file, self.account, self.protocol);
    unnamed = tmpfile();
    if (unnamed == NULL)
        return gcry_error_from_errno(errno);
    error = otrl_privkey_generate_FILEp(self.userstate, unnamed, self.account, self.protocol);
    fclose(unnamed);
    return error;
}

static void on_create_instag(UNUSED void *opdata, const char *account, const char *protocol)
{
    FILE *unnamed;

    if (self.instag_file != NULL) {
        otrl_instag_generate(self.userstate, self.instag_file, account, protocol);
        return;
    }
    unnamed = tmpfile();
    if (unnamed == NULL)
        return;
    otrl_instag_generate_FILEp(self.userstate, unnamed, account, protocol);
    fclose(unnamed);
}

static OtrlPolicy on_policy(UNUSED void *opdata, UNUSED ConnContext *context)
{
    return self.policy;
}

static void on_create_privkey(UNUSED void *opdata, UNUSED const char *account, UNUSED const char *protocol)
{
    event_emit(event_new("create_privkey"));
    generate_key();
}

static int on_is_logged_in(UNUSED void *opdata, UNUSED const char *account, UNUSED const char *protocol,
                           UNUSED const char *recipient)
{
    return self.peer_logged_in;
}

static void on_inject_message(UNUSED void *opdata, UNUSED const char *account, UNUSED const char *protocol,
                              const char *recipient, const char *message)
{
    inject(recipient, message);
}

static void on_new_fingerprint(UNUSED void *opdata, UNUSED OtrlUserState userstate,
                               UNUSED const char *account, UNUSED const char *protocol,
                               const char *username, unsigned char fingerprint[20])
{
    Json *event = event_new("new_fingerprint");

    add_string(event, "peer", username);
    add_hex(event, "fingerprint", fingerprint, 20);
    event_emit(event);
}

static void on_write_fingerprints(UNUSED void *opdata)
{
    save_fingerprints();
}

static Json *session_event(const char *name, const ConnContext *context)
{
    Json *event = event_new(name);
    bool first_bold = context->sessionid_half == OTRL_SESSIONID_FIRST_HALF_BOLD;

    add_context(event, context);
    add_hex(event, "ssid", context->sessionid, context->sessionid_len);
    add_string(event, "ssid_bold", first_bold ? "first" : "second");
    if (context->active_fingerprint != NULL)
        add_hex(event, "fingerprint", context->active_fingerprint->fingerprint, 20);
    return event;
}

static void on_gone_secure(UNUSED void *opdata, ConnContext *context)
{
    event_emit(session_event("gone_secure", context));
}

static void on_gone_insecure(UNUSED void *opdata, ConnContext *context)
{
    event_emit(session_event("gone_insecure", context));
}

static void on_still_secure(UNUSED void *opdata, ConnContext *context, int is_reply)
{
    Json *event = session_event("still_secure", context);

    add_number(event, "is_reply", is_reply);
    event_emit(event);
}

static int on_max_message_size(UNUSED void *opdata, UNUSED ConnContext *context)
{
    return self.max_message_size;
}

static void on_received_symkey(UNUSED void *opdata, ConnContext *context, unsigned int use,
                               const unsigned char *use_data, size_t use_data_length,
                               const unsigned char *key)
{
    Json *event = event_new("received_symkey");

    add_context(event, context);
    add_number(event, "use", use);
    add_hex(event, "usedata_hex", use_data, use_data_length);
    add_hex(event, "key", key, OTRL_EXTRAKEY_BYTES);
    event_emit(event);
}

static const char *on_error_message(UNUSED void *opdata, UNUSED ConnContext *context, OtrlErrorCode code)
{
    return self.send_errors ? strdup(error_texts[code]) : NULL;
}

static void free_text(UNUSED void *opdata, const char *text)
{
    free((void *) text);
}

static const char *on_resent_prefix(UNUSED void *opdata, UNUSED ConnContext *context)
{
    return self.resent_prefix != NULL ? strdup(self.resent_prefix) : NULL;
}

static void on_smp_event(UNUSED void *opdata, OtrlSMPEvent smp_event, ConnContext *context,
                         unsigned short percent, char *question)
{
    Json *event = event_new("smp");

    add_string(event, "event", smp_events[smp_event]);
    add_number(event, "percent", percent);
    if (question != NULL)
        add_text(event, "question", question);
    add_context(event, context);
    event_emit(event);
    /* libotr's API asks the application to abort after these two. */
    if (smp_event == OTRL_SMPEVENT_CHEATED || smp_event == OTRL_SMPEVENT_ERROR)
        otrl_message_abort_smp(self.userstate, &callbacks, NULL, context);
}

static void on_message_event(UNUSED void *opdata, OtrlMessageEvent message_event, ConnContext *context,
                             const char *message, gcry_error_t error)
{
    Json *event = event_new("msg_event");

    add_string(event, "event", message_events[message_event]);
    if (message != NULL)
        add_text(event, "message", message);
    if (error)
        add_string(event, "error", gcry_strerror(error));
    add_context(event, context);
    event_emit(event);
}

static void on_timer_control(UNUSED void *opdata, unsigned int interval)
{
    Json *event = event_new("timer");

    add_number(event, "interval", interval);
    event_emit(event);
}

const OtrlMessageAppOps callbacks = {
    .policy = on_policy,
    .create_privkey = on_create_privkey,
    .is_logged_in = on_is_logged_in,
    .inject_message = on_inject_message,
    .new_fingerprint = on_new_fingerprint,
    .write_fingerprints = on_write_fingerprints,
    .gone_secure = on_gone_secure,
    .gone_insecure = on_gone_insecure,
    .still_secure = on_still_secure,
    .max_message_size = on_max_message_size,
    .received_symkey = on_received_symkey,
    .otr_error_message = on_error_message,
    .otr_error_message_free = free_text,
    .resent_msg_prefix = on_resent_prefix,
    .resent_msg_prefix_free = free_text,
    .handle_smp_event = on_smp_event,
    .handle_msg_event = on_message_event,
    .create_instag = on_create_instag,
    .timer_control = on_timer_control,
};
