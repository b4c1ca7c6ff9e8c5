/* One JSON object a line: building events and reading commands.
 *
 * Bytes travel as text under their own key when they are UTF-8, and as lower-case hex under "<key>_hex" when
 * they are not.  Both forms are accepted in commands.
 */
#ifndef JSON_LINES_H
#define JSON_LINES_H

#include <gcrypt.h>
#include <json-c/json.h>
#include <stddef.h>

typedef struct json_object Json;

/* A new object {"ev": name}. */
Json *event_new(const char *name);

/* Prints the object as one line, flushes, and frees it. */
void event_emit(Json *event);

void add_string(Json *object, const char *key, const char *value);
void add_number(Json *object, const char *key, long long value);
void add_hex(Json *object, const char *key, const unsigned char *bytes, size_t length);
void add_mpi(Json *object, const char *key, gcry_mpi_t number);
void add_text(Json *object, const char *key, const char *text);

const char *get_string(Json *object, const char *key, const char *fallback);
long long get_number(Json *object, const char *key, long long fallback);

/* The bytes under key or key_hex, NUL-terminated, to be freed by the caller; NULL when neither is there.
 * Hex that is not hex ends the process: it is a mistake in the calling test. */
unsigned char *get_bytes(Json *object, const char *key, size_t *length);

#endif
