/* sigaction: prints its pid, then what comes with each signal 40 or SIGINT. Both are blocked but while it waits, so
 * nothing is printed from inside a handler. It ends after SIGINT, or after --count signals. */
#include "twin.h"

int main(int argc, char **argv)
{
    const char *count = option(&argc, argv, "--count");
    finish(argc, argv);
    long left = count ? number(count, 0, LONG_MAX) : -1;
    sigset_t both;
    sigemptyset(&both);
    sigaddset(&both, 40);
    sigaddset(&both, SIGINT);
    if (sigprocmask(SIG_BLOCK, &both, NULL))
        fail("sigprocmask");
    say("pid :%d", getpid());
    while (left != 0) {
        siginfo_t info;
        int number = sigwaitinfo(&both, &info);
        if (number < 0) {
            if (errno == EINTR)
                continue;
            fail("sigwaitinfo");
        }
        say("sig = %d", number);
        say("si_signo = %d", info.si_signo);
        say("si_code = %d", info.si_code);
        say("si_pid = %d", info.si_pid);
        say("si_value = %d", info.si_value.sival_int);
        if (number == SIGINT)
            break;
        if (left > 0)
            left--;
    }
    return 0;
}
