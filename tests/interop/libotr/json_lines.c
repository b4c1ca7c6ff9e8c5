#include "json_lines.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_LENGTH = 64 };

static void *allocate(size_t size)
{
    void *memory = calloc(1, size);

    if (memory == NULL) {
        perror("otrpeer");
        exit(1);
    }
    return memory;
}

Json *event_new(const char *name)
{
    Json *event = json_object_new_object();

    add_string(event, "ev", name);
    return event;
}

void event_emit(Json *event)
{
    puts(json_object_to_json_string_ext(event, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    fflush(stdout);
    json_object_put(event);
}

void add_string(Json *object, const char *key, const char *value)
{
    json_object_object_add(object, key, value != NULL ? json_object_new_string(value) : NULL);
}

void add_number(Json *object, const char *key, long long value)
{
    json_object_object_add(object, key, json_object_new_int64(value));
}

void add_hex(Json *object, const char *key, const unsigned char *bytes, size_t length)
{
    char *hex = allocate(2 * length + 1);

    for (size_t i = 0; i < length; i++)
        sprintf(hex + 2 * i, "%02x", bytes[i]);
    add_string(object, key, hex);
    free(hex);
}

void add_mpi(Json *object, const char *key, gcry_mpi_t number)
{
    unsigned char *hex;

    if (number == NULL) {
        json_object_object_add(object, key, NULL);
        return;
    }
    gcry_mpi_aprint(GCRYMPI_FMT_HEX, &hex, NULL, number);
    add_string(object, key, (char *) hex);
    gcry_free(hex);
}

/* How many continuation bytes follow this first byte; -1 when no character starts with it. */
static int continuation_bytes(unsigned char first)
{
    if (first < 0x80)
        return 0;
    if (first >= 0xc2 && first <= 0xdf)
        return 1;
    if (first >= 0xe0 && first <= 0xef)
        return 2;
    if (first >= 0xf0 && first <= 0xf4)
        return 3;
    return -1;
}

/* The second byte decides about overlong forms, surrogates and numbers beyond U+10FFFF. */
static bool valid_second_byte(unsigned char first, unsigned char second)
{
    switch (first) {
    case 0xe0:
        return second >= 0xa0 && second <= 0xbf;
    case 0xed:
        return second >= 0x80 && second <= 0x9f;
    case 0xf0:
        return second >= 0x90 && second <= 0xbf;
    case 0xf4:
        return second >= 0x80 && second <= 0x8f;
    default:
        return second >= 0x80 && second <= 0xbf;
    }
}

static bool is_utf8(const unsigned char *text)
{
    while (*text != 0) {
        int following = continuation_bytes(*text);

        if (following < 0 || (following > 0 && !valid_second_byte(text[0], text[1])))
            return false;
        for (text++; following > 0; following--, text++)
            if ((*text & 0xc0) != 0x80)
                return false;
    }
    return true;
}

void add_text(Json *object, const char *key, const char *text)
{
    char hex_key[KEY_LENGTH];

    if (text == NULL || is_utf8((const unsigned char *) text)) {
        add_string(object, key, text);
        return;
    }
    snprintf(hex_key, sizeof hex_key, "%s_hex", key);
    add_hex(object, hex_key, (const unsigned char *) text, strlen(text));
}

const char *get_string(Json *object, const char *key, const char *fallback)
{
    Json *value;

    if (json_object_object_get_ex(object, key, &value) && value != NULL)
        return json_object_get_string(value);
    return fallback;
}

long long get_number(Json *object, const char *key, long long fallback)
{
    Json *value;

    if (json_object_object_get_ex(object, key, &value) && value != NULL)
        return json_object_get_int64(value);
    return fallback;
}

static unsigned char *from_hex(const char *hex, size_t *length)
{
    size_t digits = strlen(hex);
    unsigned char *bytes = allocate(digits / 2 + 1);

    if (digits % 2 != 0 || strspn(hex, "0123456789abcdefABCDEF") != digits) {
        fprintf(stderr, "otrpeer: not hex: %.60s\n", hex);
        exit(2);
    }
    for (size_t i = 0; i < digits / 2; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], 0};

        bytes[i] = (unsigned char) strtoul(pair, NULL, 16);
    }
    *length = digits / 2;
    return bytes;
}

unsigned char *get_bytes(Json *object, const char *key, size_t *length)
{
    char hex_key[KEY_LENGTH];
    const char *value;

    *length = 0;
    snprintf(hex_key, sizeof hex_key, "%s_hex", key);
    value = get_string(object, hex_key, NULL);
    if (value != NULL)
        return from_hex(value, length);
    value = get_string(object, key, NULL);
    if (value == NULL)
        return NULL;
    *length = strlen(value);
    unsigned char *copy = allocate(*length + 1);
    memcpy(copy, value, *length);
    return copy;
}
