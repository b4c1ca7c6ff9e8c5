/* otrbench: what libotr's work costs.
 *
 * Reads the name of one row a line, takes one sample of it and answers "row seconds", so that a benchmark of
 * another implementation can take its own samples in between, under the same conditions.  Seconds are CPU
 * time of this process, which holds both sides; messages are handed over directly.
 *
 * A row that did not do all of its work ends the process with a sentence and status 1: a number is only
 * printed for work that was checked.
 */
#include "unused.h"

#include <libotr/proto.h>
#include <libotr/tlv.h>

#include <libotr/context.h>
#include <libotr/message.h>
#include <libotr/privkey.h>
#include <libotr/userstate.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    ALICE = 0,
    BOB = 1,
    TEXT_LENGTH = 100,
    PING_PONG_MESSAGES = 100,
    ONE_WAY_MESSAGES = 2000,
};

static const char *const names[] = {"alice", "bob"};
static const char protocol[] = "benchmark";

typedef struct Message {
    int recipient;
    char *wire;
    struct Message *next;
} Message;

static OtrlUserState sides[2];
static OtrlPolicy policy = OTRL_POLICY_ALLOW_V3;
static unsigned int expected_version = 3;
static char text[TEXT_LENGTH + 1];
static const char *running_row = "start";

/* Messages that libotr sent by itself and that are still to be handed over. */
static Message *first_message = NULL;
static Message **last_link = &first_message;

/* What happened since start_afresh(). */
static int sessions_opened[2];
static int texts_received[2];
static OtrlSMPEvent last_smp_event[2];

static void fail(const char *reason)
{
    fprintf(stderr, "otrbench: row %s did not do its work: %s\n", running_row, reason);
    exit(1);
}

static void check(bool condition, const char *reason)
{
    if (!condition)
        fail(reason);
}

static double cpu_seconds(void)
{
    struct timespec now;

    check(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) == 0, "no CPU clock");
    return (double) now.tv_sec + 1e-9 * (double) now.tv_nsec;
}

static int side_of(const char *name)
{
    return strcmp(name, names[ALICE]) == 0 ? ALICE : BOB;
}

static int other(int side)
{
    return side == ALICE ? BOB : ALICE;
}

static OtrlPolicy on_policy(UNUSED void *opdata, UNUSED ConnContext *context)
{
    return policy;
}

static int on_is_logged_in(UNUSED void *opdata, UNUSED const char *account, UNUSED const char *protocol_name,
                           UNUSED const char *recipient)
{
    return 1;
}

static void on_inject_message(UNUSED void *opdata, UNUSED const char *account,
                              UNUSED const char *protocol_name, const char *recipient, const char *wire)
{
    Message *message = malloc(sizeof *message);

    check(message != NULL, "out of memory");
    message->recipient = side_of(recipient);
    message->wire = strdup(wire);
    message->next = NULL;
    *last_link = message;
    last_link = &message->next;
}

static void on_gone_secure(UNUSED void *opdata, ConnContext *context)
{
    sessions_opened[side_of(context->accountname)]++;
}

static void on_smp_event(UNUSED void *opdata, OtrlSMPEvent event, ConnContext *context,
                         UNUSED unsigned short percent, UNUSED char *question)
{
    last_smp_event[side_of(context->accountname)] = event;
}

static void on_create_instag(UNUSED void *opdata, const char *account, const char *protocol_name)
{
    FILE *unnamed = tmpfile();

    check(unnamed != NULL, "no temporary file");
    otrl_instag_generate_FILEp(sides[side_of(account)], unnamed, account, protocol_name);
    fclose(unnamed);
}

static const OtrlMessageAppOps callbacks = {
    .policy = on_policy,
    .is_logged_in = on_is_logged_in,
    .inject_message = on_inject_message,
    .gone_secure = on_gone_secure,
    .handle_smp_event = on_smp_event,
    .create_instag = on_create_instag,
};

static void receive(int side, const char *wire)
{
    char *plain = NULL;
    OtrlTLV *tlvs = NULL;
    int internal = otrl_message_receiving(sides[side], &callbacks, NULL, names[side], protocol,
                                          names[other(side)], wire, &plain, &tlvs, NULL, NULL, NULL);

    if (!internal) {
        check(plain != NULL && strcmp(plain, text) == 0, "a text arrived unencrypted or altered");
        texts_received[side]++;
    }
    otrl_message_free(plain);
    otrl_tlv_free(tlvs);
}

static void deliver_all(void)
{
    while (first_message != NULL) {
        Message *message = first_message;

        first_message = message->next;
        if (first_message == NULL)
            last_link = &first_message;
        receive(message->recipient, message->wire);
        free(message->wire);
        free(message);
    }
}

static char *encrypt_text(int side)
{
    char *wire = NULL;
    gcry_error_t error =
        otrl_message_sending(sides[side], &callbacks, NULL, names[side], protocol, names[other(side)],
                             OTRL_INSTAG_BEST, text, NULL, &wire, OTRL_FRAGMENT_SEND_SKIP, NULL, NULL, NULL);

    check(!error && wire != NULL && strncmp(wire, "?OTR:", 5) == 0, "a text was not encrypted");
    return wire;
}

static void say(int side)
{
    char *wire = encrypt_text(side);

    receive(other(side), wire);
    otrl_message_free(wire);
}

static ConnContext *context_of(int side)
{
    ConnContext *context = otrl_context_find(sides[side], names[other(side)], names[side], protocol,
                                             OTRL_INSTAG_BEST, 0, NULL, NULL, NULL);

    check(context != NULL, "no conversation");
    return context;
}

static void start_afresh(void)
{
    for (int side = ALICE; side <= BOB; side++) {
        otrl_context_forget_all(sides[side]);
        sessions_opened[side] = 0;
        texts_received[side] = 0;
        last_smp_event[side] = OTRL_SMPEVENT_NONE;
    }
}

static void run_ake(void)
{
    char *query = otrl_proto_default_query_msg(names[ALICE], policy);

    receive(BOB, query);
    deliver_all();
    free(query);
}

static void check_session(void)
{
    for (int side = ALICE; side <= BOB; side++) {
        ConnContext *context = context_of(side);

        check(sessions_opened[side] == 1, "not exactly one session was opened");
        check(context->msgstate == OTRL_MSGSTATE_ENCRYPTED, "a side is not encrypted");
        check(context->protocol_version == expected_version, "another version was agreed on");
    }
}

static void open_session(void)
{
    start_afresh();
    run_ake();
    check_session();
}

static void check_received(int by_alice, int by_bob)
{
    check(texts_received[ALICE] == by_alice && texts_received[BOB] == by_bob, "texts were lost");
    check(first_message == NULL, "libotr sent something that was not part of the row");
}

/* One AKE, from the query to both sides encrypted. */
static double sample_ake(void)
{
    start_afresh();
    double start = cpu_seconds();
    run_ake();
    double seconds = cpu_seconds() - start;
    check_session();
    return seconds;
}

/* The AKE and one text each way: an implementation may put off work of the AKE until the first message. */
static double sample_ake_first_message(void)
{
    start_afresh();
    double start = cpu_seconds();
    run_ake();
    say(ALICE);
    say(BOB);
    double seconds = cpu_seconds() - start;
    check_session();
    check_received(1, 1);
    return seconds;
}

/* Per message of alternating texts: every message brings a new DH key. */
static double sample_ping_pong(void)
{
    open_session();
    unsigned int first_keyid = context_of(ALICE)->context_priv->our_keyid;
    double start = cpu_seconds();
    for (int i = 0; i < PING_PONG_MESSAGES; i++)
        say(i % 2 == 0 ? ALICE : BOB);
    double seconds = cpu_seconds() - start;
    check_received(PING_PONG_MESSAGES / 2, PING_PONG_MESSAGES / 2);
    unsigned int rotations = context_of(ALICE)->context_priv->our_keyid - first_keyid;
    check(rotations + 1 >= PING_PONG_MESSAGES / 2, "keys did not rotate");
    return seconds / PING_PONG_MESSAGES;
}

/* Per message of texts in one direction; both samples encrypt and decrypt all, and time their half.
 *
 * A conversation's first messages still bring new DH keys, and one of those costs as much as a thousand
 * texts.  So each side has spoken before the clock starts, and the keys must stay as they are from then on.
 */
static void run_one_way(double *send_seconds, double *receive_seconds)
{
    static char *wires[ONE_WAY_MESSAGES];

    open_session();
    say(ALICE);
    say(BOB);
    say(ALICE);
    unsigned int alice_keyid = context_of(ALICE)->context_priv->our_keyid;
    unsigned int bob_keyid = context_of(BOB)->context_priv->our_keyid;
    double start = cpu_seconds();
    for (int i = 0; i < ONE_WAY_MESSAGES; i++)
        wires[i] = encrypt_text(ALICE);
    double middle = cpu_seconds();
    for (int i = 0; i < ONE_WAY_MESSAGES; i++)
        receive(BOB, wires[i]);
    double end = cpu_seconds();
    check_received(1, ONE_WAY_MESSAGES + 2);
    check(context_of(ALICE)->context_priv->our_keyid == alice_keyid, "keys rotated");
    check(context_of(BOB)->context_priv->our_keyid == bob_keyid, "keys rotated");
    for (int i = 0; i < ONE_WAY_MESSAGES; i++)
        otrl_message_free(wires[i]);
    *send_seconds = (middle - start) / ONE_WAY_MESSAGES;
    *receive_seconds = (end - middle) / ONE_WAY_MESSAGES;
}

static double sample_send(void)
{
    double send_seconds;
    double receive_seconds;

    run_one_way(&send_seconds, &receive_seconds);
    return send_seconds;
}

static double sample_receive(void)
{
    double send_seconds;
    double receive_seconds;

    run_one_way(&send_seconds, &receive_seconds);
    return receive_seconds;
}

/* One SMP run with equal secrets, both sides. */
static double sample_smp(void)
{
    static const unsigned char secret[] = "secret";

    open_session();
    double start = cpu_seconds();
    otrl_message_initiate_smp(sides[ALICE], &callbacks, NULL, context_of(ALICE), secret, sizeof secret - 1);
    deliver_all();
    otrl_message_respond_smp(sides[BOB], &callbacks, NULL, context_of(BOB), secret, sizeof secret - 1);
    deliver_all();
    double seconds = cpu_seconds() - start;
    check(last_smp_event[ALICE] == OTRL_SMPEVENT_SUCCESS, "the asker did not succeed");
    check(last_smp_event[BOB] == OTRL_SMPEVENT_SUCCESS, "the answerer did not succeed");
    return seconds;
}

/* One DSA-1024 key, in a state of its own: the conversations keep theirs. */
static double sample_keygen(void)
{
    OtrlUserState other_state = otrl_userstate_create();
    FILE *unnamed = tmpfile();
    void *key;

    check(unnamed != NULL, "no temporary file");
    check(!otrl_privkey_generate_start(other_state, names[ALICE], protocol, &key), "no key was begun");
    double start = cpu_seconds();
    gcry_error_t error = otrl_privkey_generate_calculate(key);
    double seconds = cpu_seconds() - start;
    check(!error, "no key was made");
    check(!otrl_privkey_generate_finish_FILEp(other_state, key, unnamed), "the key was not kept");
    check(otrl_privkey_find(other_state, names[ALICE], protocol) != NULL, "the key cannot be found");
    fclose(unnamed);
    otrl_userstate_free(other_state);
    return seconds;
}

static const struct {
    const char *name;
    double (*sample)(void);
} rows[] = {
    {"ake", sample_ake},
    {"ake_first_message", sample_ake_first_message},
    {"ping_pong", sample_ping_pong},
    {"send", sample_send},
    {"receive", sample_receive},
    {"smp", sample_smp},
    {"keygen", sample_keygen},
};

static void run_row(const char *name)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(rows[i].name, name) == 0) {
            running_row = name;
            printf("%s %.9f\n", name, rows[i].sample());
            fflush(stdout);
            return;
        }
    }
    fprintf(stderr, "otrbench: there is no row called %s\n", name);
    exit(2);
}

static void parse_options(int count, char **arguments)
{
    if (count == 1)
        return;
    if (count == 3 && strcmp(arguments[1], "--version") == 0 && strcmp(arguments[2], "3") == 0)
        return;
    if (count == 3 && strcmp(arguments[1], "--version") == 0 && strcmp(arguments[2], "2") == 0) {
        policy = OTRL_POLICY_ALLOW_V2;
        expected_version = 2;
        return;
    }
    fputs("usage: otrbench [--version 2|3]   then one row name a line on standard input\n", stderr);
    exit(2);
}

static void create_side(int side)
{
    FILE *unnamed = tmpfile();

    check(unnamed != NULL, "no temporary file");
    sides[side] = otrl_userstate_create();
    check(!otrl_privkey_generate_FILEp(sides[side], unnamed, names[side], protocol), "no key was made");
    fclose(unnamed);
}

int main(int argc, char **argv)
{
    char *line = NULL;
    size_t capacity = 0;

    parse_options(argc, argv);
    /* A benchmark must not wait for the kernel's entropy; the arithmetic is the same. */
    gcry_control(GCRYCTL_ENABLE_QUICK_RANDOM, 0);
    OTRL_INIT;
    memset(text, 'x', TEXT_LENGTH);
    create_side(ALICE);
    create_side(BOB);
    while (getline(&line, &capacity, stdin) > 0) {
        line[strcspn(line, "\r\n")] = 0;
        run_row(line);
    }
    free(line);
    otrl_userstate_free(sides[ALICE]);
    otrl_userstate_free(sides[BOB]);
    return 0;
}
