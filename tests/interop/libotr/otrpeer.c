/* otrpeer: the real libotr as a scriptable OTR v2/v3 peer.  One process plays one account: commands come in
 * and events go out as one JSON object a line.  README.md lists both.
 */
#include "peer.h"

#include <libotr/privkey.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Peer self = {
    .account = "alice",
    .protocol = "prpl-test",
    .policy = OTRL_POLICY_ALLOW_V2 | OTRL_POLICY_ALLOW_V3,
    .peer_logged_in = true,
    .send_errors = true,
};

static const struct {
    const char *word;
    OtrlPolicy policy;
} policy_words[] = {
    {"v1", OTRL_POLICY_ALLOW_V1},
    {"v2", OTRL_POLICY_ALLOW_V2},
    {"v3", OTRL_POLICY_ALLOW_V3},
    {"require", OTRL_POLICY_REQUIRE_ENCRYPTION},
    {"tag", OTRL_POLICY_SEND_WHITESPACE_TAG},
    {"tagstart", OTRL_POLICY_WHITESPACE_START_AKE},
    {"errstart", OTRL_POLICY_ERROR_START_AKE},
    {"never", OTRL_POLICY_NEVER},
    {"manual", OTRL_POLICY_MANUAL},
    {"opportunistic", OTRL_POLICY_OPPORTUNISTIC},
    {"always", OTRL_POLICY_ALWAYS},
};

static bool add_policy_word(const char *word, OtrlPolicy *policy)
{
    for (size_t i = 0; i < sizeof policy_words / sizeof *policy_words; i++) {
        if (strcmp(policy_words[i].word, word) == 0) {
            *policy |= policy_words[i].policy;
            return true;
        }
    }
    return false;
}

bool parse_policy(const char *words, OtrlPolicy *policy)
{
    char *copy = strdup(words);
    char *rest = NULL;
    OtrlPolicy parsed = 0;
    bool known = true;

    for (char *word = strtok_r(copy, "+, |", &rest); word != NULL; word = strtok_r(NULL, "+, |", &rest))
        known = add_policy_word(word, &parsed) && known;
    free(copy);
    if (known)
        *policy = parsed;
    return known;
}

void add_own_fingerprint(Json *object)
{
    unsigned char fingerprint[20];
    char human[OTRL_PRIVKEY_FPRINT_HUMAN_LEN];

    if (otrl_privkey_fingerprint_raw(self.userstate, fingerprint, self.account, self.protocol) == NULL)
        return;
    add_hex(object, "fingerprint", fingerprint, sizeof fingerprint);
    otrl_privkey_hash_to_human(human, fingerprint);
    add_string(object, "human", human);
}

static void usage(void)
{
    fputs("usage: otrpeer [--account A] [--protocol P] [--policy WORD+WORD...] [--mms BYTES] [--keyfile F]\n"
          "               [--instags F] [--fingerprints F] [--quick-random] [--still-clock]\n",
          stderr);
    exit(2);
}

/* Returns whether quick randomness was asked for: it must be switched on before libotr starts. */
static bool parse_options(int count, char **arguments)
{
    bool quick_random = false;

    for (int i = 1; i < count; i++) {
        const char *option = arguments[i];

        if (strcmp(option, "--quick-random") == 0) {
            quick_random = true;
            continue;
        }
        if (strcmp(option, "--still-clock") == 0) {
            clock_stop();
            continue;
        }
        if (i + 1 == count)
            usage();
        const char *value = arguments[++i];
        if (strcmp(option, "--account") == 0)
            self.account = value;
        else if (strcmp(option, "--protocol") == 0)
            self.protocol = value;
        else if (strcmp(option, "--keyfile") == 0)
            self.key_file = value;
        else if (strcmp(option, "--instags") == 0)
            self.instag_file = value;
        else if (strcmp(option, "--fingerprints") == 0)
            self.fingerprint_file = value;
        else if (strcmp(option, "--mms") == 0)
            self.max_message_size = atoi(value);
        else if (strcmp(option, "--policy") != 0 || !parse_policy(value, &self.policy))
            usage();
    }
    return quick_random;
}

static void read_files(void)
{
    if (self.key_file != NULL)
        otrl_privkey_read(self.userstate, self.key_file);
    if (self.instag_file != NULL)
        otrl_instag_read(self.userstate, self.instag_file);
    if (self.fingerprint_file != NULL)
        otrl_privkey_read_fingerprints(self.userstate, self.fingerprint_file, NULL, NULL);
}

static void emit_ready(void)
{
    Json *event = event_new("ready");

    add_string(event, "libotr", otrl_version());
    add_string(event, "libgcrypt", gcry_check_version(NULL));
    add_string(event, "account", self.account);
    add_own_fingerprint(event);
    event_emit(event);
}

static void emit_bad_json(void)
{
    Json *done = event_new("done");

    add_string(done, "error", "bad json");
    event_emit(done);
}

int main(int argc, char **argv)
{
    char *line = NULL;
    size_t capacity = 0;
    bool quit = false;

    if (parse_options(argc, argv))
        gcry_control(GCRYCTL_ENABLE_QUICK_RANDOM, 0);
    OTRL_INIT;
    self.userstate = otrl_userstate_create();
    read_files();
    emit_ready();
    while (!quit && getline(&line, &capacity, stdin) > 0) {
        Json *command = json_tokener_parse(line);

        if (command == NULL) {
            emit_bad_json();
            continue;
        }
        quit = run_command(command);
        json_object_put(command);
    }
    free(line);
    otrl_userstate_free(self.userstate);
    return 0;
}
