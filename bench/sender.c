/* Sends the frames of a file round after round at a fixed rate.
 *
 *   sender INTERFACE FILE RATE SECONDS COUNTER_AT STEP ROUND
 *
 * FILE holds frames, each behind its length (16 bits, little endian). With COUNTER_AT >= 0 the
 * big-endian 64-bit number at that offset of every frame is STEP * (round number) larger than in
 * the file; ROUND is the number of the first round. Prints: frames sent, nanoseconds, next round.
 *
 * It sleeps between bursts instead of spinning, because it shares the processors with the switch
 * it measures, and it never sends more than BURST frames at once: bmv2 queues 64 for a port.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { MAX_FRAMES = 65536, MAX_LEN = 4096, BURST = 32, TICK_NS = 300000 };

static unsigned char *frame[MAX_FRAMES];
static size_t length[MAX_FRAMES];
static size_t frames;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void load(const char *path) {
    FILE *file = fopen(path, "rb");
    unsigned char head[2];
    if (!file)
        die(path);
    while (frames < MAX_FRAMES && fread(head, 1, 2, file) == 2) {
        size_t size = head[0] | head[1] << 8;
        unsigned char *data = malloc(size);
        if (size > MAX_LEN || !data || fread(data, 1, size, file) != size)
            die("frame file");
        frame[frames] = data;
        length[frames++] = size;
    }
    fclose(file);
    if (!frames)
        die("no frames");
}

static int open_port(const char *interface) {
    struct sockaddr_ll address = {.sll_family = AF_PACKET};
    int on = 1, fd = socket(AF_PACKET, SOCK_RAW, 0);
    address.sll_ifindex = (int)if_nametoindex(interface);
    if (fd < 0 || !address.sll_ifindex)
        die(interface);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
        die("bind");
    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on);
    return fd;
}

static int64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void nap(void) {
    struct timespec time = {.tv_nsec = TICK_NS};
    nanosleep(&time, NULL);
}

static void advance(long counter_at, uint64_t step) {
    for (size_t i = 0; i < frames; i++) {
        unsigned char *at = frame[i] + counter_at;
        uint64_t carry = step;
        for (int octet = 7; octet >= 0 && carry; octet--, carry >>= 8) {
            carry += at[octet];
            at[octet] = (unsigned char)carry;
        }
    }
}

int main(int argc, char **argv) {
    struct mmsghdr message[BURST] = {0};
    struct iovec part[BURST];
    if (argc != 8)
        return 2;
    load(argv[2]);
    int fd = open_port(argv[1]);
    double rate = atof(argv[3]);
    int64_t duration = (int64_t)(atof(argv[4]) * 1e9);
    long counter_at = atol(argv[5]);
    uint64_t step = strtoull(argv[6], NULL, 10), round = strtoull(argv[7], NULL, 10);
    uint64_t sent = 0;
    size_t next = 0;

    if (counter_at >= 0)
        advance(counter_at, step * round);
    int64_t start = now_ns(), pace = start, end = start + duration, now;
    while ((now = now_ns()) < end) {
        double credit = (double)(now - pace) * rate / 1e9;
        if (credit < 1) {
            nap();
            continue;
        }
        /* Late: what was missed is not made up for, a burst would only fill queues. */
        unsigned count = credit > BURST ? BURST : (unsigned)credit;
        if (count > frames - next)
            count = (unsigned)(frames - next);
        pace = credit > 2 * BURST ? now : pace + (int64_t)(count / rate * 1e9);
        for (unsigned i = 0; i < count; i++) {
            part[i].iov_base = frame[next + i];
            part[i].iov_len = length[next + i];
            message[i].msg_hdr.msg_iov = &part[i];
            message[i].msg_hdr.msg_iovlen = 1;
        }
        int done = sendmmsg(fd, message, count, 0);
        if (done < 0 && errno != ENOBUFS && errno != EAGAIN)
            die("sendmmsg");
        sent += done > 0 ? (unsigned)done : 0;
        next += done > 0 ? (unsigned)done : 0;
        if (next == frames) {
            next = 0;
            round++;
            if (counter_at >= 0)
                advance(counter_at, step);
        }
    }
    printf("%llu %lld %llu\n", (unsigned long long)sent, (long long)(now_ns() - start),
           (unsigned long long)round + 1);
    return 0;
}
