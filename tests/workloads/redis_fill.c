// SPDX-License-Identifier: GPL-2.0
/*
 * Sets KEYS keys of SIZE bytes in a Redis behind a Unix socket, pipelined. Or
 * deletes all but every STEPth of them, or reads these back.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BATCH	64

static int connect_to(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strncpy(addr.sun_path, path, sizeof(addr.sun_path) - 1);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return -1;
	return fd;
}

static int write_all(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno != EINTR)
			return -1;
		if (n > 0) {
			p += n;
			len -= n;
		}
	}
	return 0;
}

/* Every reply is "+OK\r\n". */
static int expect_ok(int fd, size_t replies)
{
	static char buf[BATCH * 5];
	size_t want = replies * 5, got = 0;

	while (got < want) {
		ssize_t n = read(fd, buf + got, want - got);

		if (n <= 0)
			return -1;
		got += n;
	}
	return buf[0] == '+' && buf[want - 5] == '+' ? 0 : -1;
}

/* Writes a command of one word and one key; reads a reply that begins so. */
static int one_key(int fd, const char *word, size_t i, char *buf,
		   const char *head, size_t want)
{
	char key[32], command[96];
	int n = snprintf(key, sizeof(key), "key:%zu", i);
	size_t got = 0, known;

	n = snprintf(command, sizeof(command),
		     "*2\r\n$%zu\r\n%s\r\n$%d\r\n%s\r\n", strlen(word), word,
		     n, key);
	if (write_all(fd, command, n))
		return -1;
	while (got < want) {
		ssize_t n = read(fd, buf + got, want - got);

		if (n <= 0)
			return -1;
		got += n;
		/* Of another reply no more may come. */
		known = got < strlen(head) ? got : strlen(head);
		if (memcmp(buf, head, known))
			return -1;
	}
	return 0;
}

static int delete_key(int fd, size_t i)
{
	char reply[4];

	return one_key(fd, "DEL", i, reply, ":1\r\n", 4);
}

static int check_key(int fd, size_t i, char *buf, size_t size)
{
	char head[32];
	size_t n = snprintf(head, sizeof(head), "$%zu\r\n", size), k;

	if (one_key(fd, "GET", i, buf, head, n + size + 2))
		return -1;
	for (k = n; k < n + size; k++)
		if (buf[k] != (char)('a' + i % 26))
			return -1;
	return 0;
}

int main(int argc, char **argv)
{
	size_t keys, size, step = 0, i, len = 0;
	bool check;
	char *buf;
	int fd;

	if (argc == 6)
		step = strtoul(argv[5], NULL, 0);
	check = step && !strcmp(argv[4], "check");
	if (argc != 4 && (!step || (!check && strcmp(argv[4], "keep")))) {
		fprintf(stderr, "usage: redis_fill SOCKET KEYS SIZE "
			"[keep STEP | check STEP]\n");
		return 2;
	}
	keys = strtoul(argv[2], NULL, 0);
	size = strtoul(argv[3], NULL, 0);
	buf = malloc(BATCH * (size + 128));
	fd = connect_to(argv[1]);
	if (!buf || fd < 0)
		return perror(argv[1]), 1;

	for (i = 0; step && i < keys; i++) {
		if (check ? !(i % step) && check_key(fd, i, buf, size) :
			    i % step && delete_key(fd, i))
			return fprintf(stderr, "key:%zu is not as it was set\n",
				       i), 1;
	}
	if (step)
		return 0;

	for (i = 0; i < keys; i++) {
		char key[32];
		int n = snprintf(key, sizeof(key), "key:%zu", i);

		len += sprintf(buf + len,
			       "*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%zu\r\n", n,
			       key, size);
		memset(buf + len, 'a' + i % 26, size);
		len += size;
		memcpy(buf + len, "\r\n", 2);
		len += 2;
		if (i % BATCH == BATCH - 1 || i == keys - 1) {
			if (write_all(fd, buf, len) ||
			    expect_ok(fd, i % BATCH + 1))
				return fprintf(stderr, "SET failed\n"), 1;
			len = 0;
		}
	}
	return 0;
}
