/* Lets IKE daemons run on a kernel without ESP: LD_PRELOAD it.
 *
 * Such a kernel takes policies and hands out SPIs, but refuses each SA. Refusals of
 * XFRM_MSG_NEWSA, UPDSA and DELSA are turned into acknowledgements on their way to the
 * daemon, which then believes its SAs installed. Nothing else changes, and no traffic flows.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/netlink.h>
#include <linux/xfrm.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static int option(int fd, int name)
{
    int value = -1;
    socklen_t size = sizeof value;
    return getsockopt(fd, SOL_SOCKET, name, &value, &size) ? -1 : value;
}

static int is_xfrm(int fd)
{
    return option(fd, SO_DOMAIN) == AF_NETLINK && option(fd, SO_PROTOCOL) == NETLINK_XFRM;
}

static ssize_t accept_sas(int fd, void *buffer, ssize_t size)
{
    struct nlmsghdr *head = buffer;
    struct nlmsgerr *answer = NLMSG_DATA(head);

    if (size < (ssize_t)NLMSG_LENGTH(sizeof *answer) || head->nlmsg_type != NLMSG_ERROR)
        return size;
    if (!is_xfrm(fd))
        return size;
    switch (answer->msg.nlmsg_type) {
    case XFRM_MSG_NEWSA:
    case XFRM_MSG_UPDSA:
    case XFRM_MSG_DELSA:
        answer->error = 0;
    }
    return size;
}

#define REAL(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))

ssize_t recv(int fd, void *buffer, size_t room, int flags)
{
    return accept_sas(fd, buffer, REAL(recv)(fd, buffer, room, flags));
}

ssize_t recvfrom(int fd, void *restrict buffer, size_t room, int flags,
                 struct sockaddr *restrict from, socklen_t *restrict from_size)
{
    return accept_sas(fd, buffer, REAL(recvfrom)(fd, buffer, room, flags, from, from_size));
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    return accept_sas(fd, message->msg_iov->iov_base, REAL(recvmsg)(fd, message, flags));
}

ssize_t read(int fd, void *buffer, size_t room)
{
    return accept_sas(fd, buffer, REAL(read)(fd, buffer, room));
}
