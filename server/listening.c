// SPDX-License-Identifier: Apache-2.0
//
// The socket is made here and not by the HTTP library, for errors that say what to do.
#include "listening.h"

#include <facenet/base.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WAITING = 32 }; // connections not yet accepted

typedef union address {
    struct sockaddr any;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
} address;

// The address and its length, 0 when the text is none.
static socklen_t read_address(address *out, const char *text, int port) {
    memset(out, 0, sizeof *out);
    if (strcasecmp(text, "localhost") == 0)
        text = "127.0.0.1";
    if (inet_pton(AF_INET, text, &out->four.sin_addr) == 1) {
        out->four.sin_family = AF_INET;
        out->four.sin_port = htons((uint16_t)port);
        return sizeof out->four;
    }
    if (inet_pton(AF_INET6, text, &out->six.sin6_addr) == 1) {
        out->six.sin6_family = AF_INET6;
        out->six.sin6_port = htons((uint16_t)port);
        return sizeof out->six;
    }
    return 0;
}

static int is_loopback(const address *a) {
    if (a->any.sa_family == AF_INET)
        return ntohl(a->four.sin_addr.s_addr) >> 24 == 127;
    const struct in6_addr *six = &a->six.sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(six) || (IN6_IS_ADDR_V4MAPPED(six) && six->s6_addr[12] == 127);
}

static int is_any(const address *a) {
    return a->any.sa_family == AF_INET ? a->four.sin_addr.s_addr == htonl(INADDR_ANY)
                                       : IN6_IS_ADDR_UNSPECIFIED(&a->six.sin6_addr);
}

static int say_why(char *why, size_t n_why, int error, const char *name, int port) {
    if (error == EADDRINUSE)
        snprintf(why, n_why,
                 "port %d of %s is in use by another program: choose another, or 0 for a free one", port,
                 name);
    else if (error == EADDRNOTAVAIL)
        snprintf(why, n_why, "%s is no address of this machine", name);
    else if (error == EACCES)
        snprintf(why, n_why, "port %d is not allowed to ordinary users: choose one from 1024 on", port);
    else
        snprintf(why, n_why, "port %d of %s cannot be listened on: %s", port, name, strerror(error));
    return FN_EIO;
}

int server_listen(server_listening *out, const char *name, int port, char *why, size_t n_why) {
    *out = (server_listening){.fd = -1};
    address a;
    if (port < 0 || port > 65535) {
        snprintf(why, n_why, "there is no port %d: they go from 0 (a free one) to 65535", port);
        return FN_EINVAL;
    }
    name = name ? name : "127.0.0.1";
    socklen_t n = read_address(&a, name, port);
    if (!n) {
        snprintf(why, n_why, "\"%.60s\" is no address to listen on: give it as numbers, as in 127.0.0.1",
                 name);
        return FN_EINVAL;
    }
    int fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
    if (fd < 0)
        return say_why(why, n_why, errno, name, port);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes); // closed connections linger for a minute
    if (bind(fd, &a.any, n) || listen(fd, WAITING) || getsockname(fd, &a.any, &n)) {
        int error = errno;
        close(fd);
        return say_why(why, n_why, error, name, port);
    }
    int is_six = a.any.sa_family == AF_INET6;
    out->fd = fd;
    out->port = ntohs(is_six ? a.six.sin6_port : a.four.sin_port);
    out->is_loopback = is_loopback(&a);
    inet_ntop(a.any.sa_family, is_six ? (const void *)&a.six.sin6_addr : &a.four.sin_addr, out->address,
              sizeof out->address);
    char machine[256] = "";
    if (is_any(&a) && gethostname(machine, sizeof machine - 1) == 0 && *machine)
        snprintf(out->url, sizeof out->url, "http://%s:%d/", machine, out->port);
    else
        snprintf(out->url, sizeof out->url, is_six ? "http://[%s]:%d/" : "http://%s:%d/", out->address,
                 out->port);
    return FN_OK;
}

// Whether host is `name`, in brackets or not, and then nothing or a port.
static int is_called(const char *host, const char *name, int in_brackets) {
    size_t n = strlen(name);
    if (in_brackets && *host++ != '[')
        return 0;
    if (strncasecmp(host, name, n) != 0)
        return 0;
    host += n;
    if (in_brackets && *host++ != ']')
        return 0;
    if (*host == ':')
        host += 1 + strspn(host + 1, "0123456789");
    return *host == 0;
}

// Numbers, with or without a port.
static int is_numeric(const char *host) {
    char text[64];
    struct in6_addr any;
    const int in_brackets = *host == '[';
    host += in_brackets;
    const size_t n = strcspn(host, in_brackets ? "]" : ":");
    if (n >= sizeof text)
        return 0;
    memcpy(text, host, n);
    text[n] = 0;
    return inet_pton(in_brackets ? AF_INET6 : AF_INET, text, &any) == 1 &&
           is_called(host - in_brackets, text, in_brackets);
}

// The machine's name, alone or in a zone that nobody on the internet can own (RFC 6762, 8375, and .lan).
static int is_this_machine(const char *host) {
    static const char *const zones[] = {"", ".local", ".lan", ".home.arpa"};
    char machine[256], name[300];
    if (gethostname(machine, sizeof machine))
        return 0;
    machine[sizeof machine - 1] = 0;
    for (size_t i = 0; i < sizeof zones / sizeof *zones; i++) {
        snprintf(name, sizeof name, "%s%s", machine, zones[i]);
        if (*machine && is_called(host, name, 0))
            return 1;
    }
    return 0;
}

int server_host_is_ours(const server_listening *listening, const char *host) {
    if (!host)
        return !listening->is_loopback;
    if (is_called(host, "localhost", 0))
        return 1;
    if (!listening->is_loopback)
        return is_numeric(host) || is_this_machine(host);
    return is_called(host, "127.0.0.1", 0) || is_called(host, "::1", 1) ||
           is_called(host, listening->address, strchr(listening->address, ':') != NULL);
}
