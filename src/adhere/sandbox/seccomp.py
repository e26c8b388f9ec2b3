"""The system-call filter: what remains reachable from within the namespaces and is of no use to an honest program.

Like Flatpak's, it is a list of what is refused; files, network, processes and users are kept apart by the namespaces
already. It closes the kernel's rarely used doors (mounts, new namespaces, modules, BPF, keys, tracing), and the ways to
hold memory that no limit counts (`memfd_create`, System V shared memory). The rules are compiled by libseccomp, which
knows the numbers of this machine's architecture; no Python binding is needed for five functions.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from functools import cache

from adhere.errors import CapabilityError

__all__ = ["compiled"]

# Ends the program: nothing but an attack asks for these.
KILLED = """
    ptrace process_vm_readv process_vm_writev process_madvise pidfd_getfd kcmp
    mount umount umount2 pivot_root chroot move_mount open_tree mount_setattr fsopen fsconfig fsmount fspick
    unshare setns bpf perf_event_open userfaultfd kexec_load kexec_file_load init_module finit_module delete_module
    open_by_handle_at name_to_handle_at reboot swapon swapoff acct quotactl quotactl_fd iopl ioperm modify_ldt
    settimeofday clock_settime stime adjtimex clock_adjtime sethostname setdomainname nfsservctl vhangup syslog
    lookup_dcookie fanotify_init uselib vm86 vm86old
"""
# Fails with EPERM: libraries try them and can do without.
REFUSED = """
    add_key request_key keyctl shmget shmat shmctl semget semop semtimedop semctl msgget msgsnd msgrcv msgctl
    mq_open move_pages migrate_pages mbind set_mempolicy
"""
# Fails with ENOSYS, as on an older kernel: libc then takes the older call, whose arguments the filter can read.
ABSENT = "clone3 memfd_create memfd_secret io_uring_setup io_uring_enter io_uring_register"

NEW_NAMESPACES = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000, 0x00000080)
TIOCSTI, TIOCLINUX = 0x5412, 0x541C  # put characters into a terminal's input
LOW_32 = 0xFFFFFFFF

_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NE, _MASKED_EQ = 1, 7  # enum scmp_compare


class _Compare(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


@cache
def compiled() -> bytes:
    """The filter as the kernel takes it, for this machine.

    Raises:
        CapabilityError: if libseccomp is missing or cannot compile it.
    """
    try:
        library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    except OSError as error:
        raise CapabilityError(
            "the system-call filter needs libseccomp.so.2", hint="Install it: apt install libseccomp2"
        ) from error
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_release.argtypes = [ctypes.c_void_p]
    library.seccomp_export_bpf.argtypes = [ctypes.c_void_p, ctypes.c_int]
    library.seccomp_rule_add_array.argtypes = [
        ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(_Compare),
    ]  # fmt: skip
    context = library.seccomp_init(ctypes.c_uint32(_ALLOW))
    try:
        for action, call, compare in _rules():
            number = library.seccomp_syscall_resolve_name(call.encode())
            if number < 0:  # this architecture has no such call, or the library is older than the call
                continue
            checks = (_Compare * len(compare))(*compare)
            if status := library.seccomp_rule_add_array(context, action, number, len(compare), checks):
                raise CapabilityError(f"libseccomp refuses the rule for {call}: {os.strerror(-status)}")
        return _exported(library, context)
    finally:
        library.seccomp_release(context)


def _rules() -> list[tuple[int, str, tuple[_Compare, ...]]]:
    rules: list[tuple[int, str, tuple[_Compare, ...]]] = [(_KILL, call, ()) for call in KILLED.split()]
    rules += [(_ERRNO | errno.EPERM, call, ()) for call in REFUSED.split()]
    rules += [(_ERRNO | errno.ENOSYS, call, ()) for call in ABSENT.split()]
    rules += [(_KILL, "clone", (_Compare(0, _MASKED_EQ, flag, flag),)) for flag in NEW_NAMESPACES]
    rules += [(_ERRNO | errno.EPERM, "ioctl", (_Compare(1, _MASKED_EQ, LOW_32, n),)) for n in (TIOCSTI, TIOCLINUX)]
    # Programs look for a network out of habit (a resolver, an asyncio server) and deserve an exception, not death.
    rules += [(_ERRNO | errno.EACCES, "socket", (_Compare(0, _NE, socket.AF_UNIX, 0),))]
    return rules


def _exported(library: ctypes.CDLL, context: int) -> bytes:
    """Through a file in memory: the call that exports to a buffer is newer than most systems' libseccomp."""
    file = os.memfd_create("seccomp")
    try:
        if status := library.seccomp_export_bpf(context, file):
            raise CapabilityError(f"libseccomp cannot compile the filter: {os.strerror(-status)}")
        return os.pread(file, os.fstat(file).st_size, 0)
    finally:
        os.close(file)
