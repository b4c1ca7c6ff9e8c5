/* The clock that libotr sees.
 *
 * Heartbeats, the 60 s resend window and the expiry of an unanswered Commit depend on time().  libotr.so
 * resolves time() through the dynamic linker, which prefers a definition in the main program; so a test can
 * let a minute pass without waiting for it.  libotr also prefers the conversation that it heard of in a later
 * second: for the same run to give the same result, the clock can be made to move by command only.
 */
#include "peer.h"

#include <sys/time.h>
#include <time.h>

static long long offset_seconds = 0;
static time_t stopped_at = 0; /* 0: it runs */

time_t time(time_t *result)
{
    struct timeval real;
    time_t now;

    gettimeofday(&real, NULL);
    now = (stopped_at != 0 ? stopped_at : real.tv_sec) + offset_seconds;
    if (result != NULL)
        *result = now;
    return now;
}

void clock_stop(void)
{
    stopped_at = time(NULL);
}

long long clock_advance(long long seconds)
{
    offset_seconds += seconds;
    return time(NULL);
}
