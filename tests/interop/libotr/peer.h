/* The state of the one account that an otrpeer process plays, and what its files offer each other. */
#ifndef PEER_H
#define PEER_H

#include "json_lines.h"

/* proto.h and tlv.h come before message.h, which uses their types without including them. */
#include <libotr/proto.h>
#include <libotr/tlv.h>

#include <libotr/context.h>
#include <libotr/message.h>
#include <libotr/userstate.h>
#include <stdbool.h>

typedef struct {
    OtrlUserState userstate;
    const char *account;
    const char *protocol;
    const char *key_file;         /* NULL: nothing is kept on disk; so too the next two */
    const char *instag_file;
    const char *fingerprint_file;
    OtrlPolicy policy;
    int max_message_size;         /* bytes of one wire message; 0: libotr does not fragment */
    bool peer_logged_in;
    bool send_errors;             /* whether protocol errors are reported to the peer */
    char *resent_prefix;          /* NULL: libotr's own "[resent]" */
} Peer;

extern Peer self;

/* What libotr calls back (callbacks.c). */
extern const OtrlMessageAppOps callbacks;

/* "v2+v3+require" and the like; false when a word is unknown, and the policy is then unchanged. */
bool parse_policy(const char *words, OtrlPolicy *policy);

gcry_error_t generate_key(void);
void add_own_fingerprint(Json *object);
void add_context(Json *object, const ConnContext *context);
void inject(const char *recipient, const char *message);
void save_fingerprints(void);

/* Moves the clock that libotr sees; returns the new time in seconds since 1970 (clock.c). */
long long clock_advance(long long seconds);

/* From here on only clock_advance moves that clock. */
void clock_stop(void);

/* Runs one command and emits what it causes, "done" last; true when it was "quit" (commands.c). */
bool run_command(Json *command);

#endif
