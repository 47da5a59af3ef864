// The two ends that the peers are measured between, as near to the kernel as a program can be.
//
//   loop floor PORT           answers every query with its own bytes and three A records: what no server can beat
//   loop load PORT FILE SECS  asks the lines of FILE ("name type") as fast as they are answered; prints how many were
//
// Both read and write 64 datagrams with one system call, as onstage does.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { BATCH = 64, LONGEST = 4096, MOST = 1 << 17 };

static unsigned char buffers[BATCH][LONGEST];
static struct sockaddr_in peers[BATCH];
static struct iovec vectors[BATCH];
static struct mmsghdr messages[BATCH];

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static struct sockaddr_in loopback(int port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int udp(void) {
    int s = socket(AF_INET, SOCK_DGRAM, 0), size = 4 << 20;
    if (s < 0) fail("socket");
    setsockopt(s, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    setsockopt(s, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    return s;
}

static size_t reply(unsigned char *p, size_t n) {
    static const unsigned char record[16] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 127, 16, 1, 10};
    if (n < 17 || n + 3 * sizeof record > LONGEST) return 0;
    p[2] |= 0x84;
    p[7] = 3;
    for (int i = 0; i < 3; i++) memcpy(p + n + i * sizeof record, record, sizeof record);
    return n + 3 * sizeof record;
}

static void answer(int port) {
    int s = udp();
    struct sockaddr_in a = loopback(port);
    if (bind(s, (void *)&a, sizeof a)) fail("bind");
    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            vectors[i] = (struct iovec){buffers[i], LONGEST};
            messages[i].msg_hdr = (struct msghdr){
                .msg_name = &peers[i], .msg_namelen = sizeof peers[i], .msg_iov = &vectors[i], .msg_iovlen = 1};
        }
        int n = recvmmsg(s, messages, BATCH, MSG_WAITFORONE, NULL);
        if (n < 0 && errno != EINTR) fail("recvmmsg");
        for (int i = 0; i < n; i++) vectors[i].iov_len = reply(buffers[i], messages[i].msg_len);
        for (int done = 0; done < n;) {
            int sent = sendmmsg(s, messages + done, n - done, 0);
            if (sent < 0 && errno != EINTR) fail("sendmmsg");
            if (sent > 0) done += sent;
        }
    }
}

static struct {
    unsigned char bytes[280];
    size_t len;
} queries[MOST];

static size_t read_queries(const char *path) {
    static const struct { const char *name; int code; } types[] = {{"A", 1}, {"AAAA", 28}, {"SRV", 33}, {"TXT", 16}};
    char name[256], type[16];
    size_t n = 0;
    FILE *f = fopen(path, "r");
    if (!f) fail(path);
    while (n < MOST && fscanf(f, "%253s %15s", name, type) == 2) {
        unsigned char *p = queries[n].bytes;
        size_t at = 12;
        p[2] = 1, p[5] = 1;
        for (char *label = strtok(name, "."); label; label = strtok(NULL, ".")) {
            p[at] = strlen(label);
            memcpy(p + at + 1, label, p[at]);
            at += 1 + p[at];
        }
        p[at++] = 0;
        for (size_t i = 0; i < sizeof types / sizeof *types; i++)
            if (!strcmp(types[i].name, type)) p[at + 1] = types[i].code;
        p[at + 3] = 1;
        queries[n++].len = at + 4;
    }
    fclose(f);
    if (!n) exit((fprintf(stderr, "%s: no queries\n", path), 1));
    return n;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void ask(int s, size_t count) {
    static size_t next;
    for (int i = 0; i < BATCH; i++) {
        size_t q = next++ % count;
        queries[q].bytes[0] = next >> 8, queries[q].bytes[1] = next;
        vectors[i] = (struct iovec){queries[q].bytes, queries[q].len};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
    }
    for (int done = 0; done < BATCH;) {
        int sent = sendmmsg(s, messages + done, BATCH - done, 0);
        if (sent < 0 && errno != EINTR && errno != ECONNREFUSED) fail("sendmmsg");
        if (sent > 0) done += sent;
    }
}

// A batch of replies, or as many as come before the socket's timeout: the rest are lost.
static size_t hear(int s) {
    size_t heard = 0;
    while (heard < BATCH) {
        for (int i = 0; i < BATCH; i++) {
            vectors[i] = (struct iovec){buffers[i], LONGEST};
            messages[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
        }
        int n = recvmmsg(s, messages, BATCH - heard, MSG_WAITFORONE, NULL);
        if (n <= 0) break;
        heard += n;
    }
    return heard;
}

static void load(int port, const char *path, double seconds) {
    size_t count = read_queries(path), heard = 0, batches = 0;
    struct sockaddr_in a = loopback(port);
    struct timeval patience = {0, 50000};
    int s[2];
    for (int i = 0; i < 2; i++) {
        s[i] = udp();
        setsockopt(s[i], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        if (connect(s[i], (void *)&a, sizeof a)) fail("connect");
        ask(s[i], count);
    }
    double start = now(), end = start + seconds;
    while (now() < end) {
        int turn = batches++ % 2;
        heard += hear(s[turn]);
        ask(s[turn], count);
    }
    printf("%zu %zu %.6f\n", heard, batches * BATCH, now() - start);
}

int main(int argc, char **argv) {
    if (argc == 3 && !strcmp(argv[1], "floor")) answer(atoi(argv[2]));
    if (argc == 5 && !strcmp(argv[1], "load")) return load(atoi(argv[2]), argv[3], atof(argv[4])), 0;
    fprintf(stderr, "usage: loop floor PORT | loop load PORT FILE SECONDS\n");
    return 2;
}
