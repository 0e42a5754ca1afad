#pragma once
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

// The C API passes every event's callback as one generic type; the cast is only possible in C.
static inline int roost_register_lifecycle(virConnectPtr connection, virConnectDomainEventCallback callback,
                                           void *opaque, virFreeCallback release) {
    return virConnectDomainEventRegisterAny(connection, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                            VIR_DOMAIN_EVENT_CALLBACK(callback), opaque, release);
}

static inline int roost_register_reboot(virConnectPtr connection, virConnectDomainEventGenericCallback callback,
                                        void *opaque, virFreeCallback release) {
    return virConnectDomainEventRegisterAny(connection, NULL, VIR_DOMAIN_EVENT_ID_REBOOT,
                                            VIR_DOMAIN_EVENT_CALLBACK(callback), opaque, release);
}

// Called by number: glibc has wrappers only since 2.36, and Swift cannot import the variadic syscall(2).
static inline int roost_pidfd_open(pid_t pid) { return (int)syscall(434, pid, 0U); }

static inline int roost_pidfd_send_signal(int pidfd, int number) {
    return (int)syscall(424, pidfd, number, NULL, 0U);
}

// Both are GNU extensions, which Swift does not import.
static const int roost_open_direct = __O_DIRECT;

static inline void roost_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }
