// hull-init: what a new process is between clone and execve, and the infra container of a Pod. For arm64.
//
// It receives an image on descriptor 3 (wire.go has its layout, handshake.go the words), checks all of it, performs its
// steps in order, and reports the first that fails. Past the last step it rests. There is no stack frame, no handler, no
// memory but the region at REGION, which a resting process has given back.
//
// The file is the whole ELF executable, header included: it is assembled, linked at BASE and written out as plain bytes.
// After a change, "go test -run Assembled -update ." renews the committed bytes. init_amd64.S is the same program, label by
// label.
//
// Registers that keep their meaning (a system call changes x0 only):
//	x19  REGION			x21  bytes received, then the number of steps
//	x20  the first step		x22  control bytes received, then the first rule
//	x23  index of a step		x24  address of that step

	.set	BASE, 0x400000		// where the program lies
	.set	REGION, 0x200000	// where the image and the descriptors' messages lie
	.set	REGION_SIZE, 0x1f0000	// of both
	.set	CONTROL, 0x1e0000	// offset of the descriptors' messages, and limit of the image
	.set	CONTROL_SIZE, REGION_SIZE - CONTROL
	.set	MAGIC_LOW, 'H' | 'I' << 8
	.set	MAGIC_HIGH, 'a' | 1 << 8

	// The header's fields.
	.set	SIZE, 4
	.set	STEPS, 8
	.set	STEP_COUNT, 12
	.set	RULE_COUNT, 16
	.set	CONTROL_COUNT, 20
	.set	HEADER, 24

	// A step's fields.
	.set	LOADS, 4
	.set	RULES, 5
	.set	FIRST_RULE, 6
	.set	INTO, 8
	.set	NUMBER, 12
	.set	ARGS, 16

	// Reports.
	.set	FAILED, 1
	.set	RESTING, 2

	.set	SOCKET, 3
	.set	EINVAL, 22
	.set	SIGINT, 2
	.set	SIGTERM, 15
	.set	SIGNALS_LOW, 1 << (SIGINT - 1) | 1 << (SIGTERM - 1)
	.set	SIGNALS_HIGH, 1 << (17 - 1 - 16)	// SIGCHLD

	.text
	.globl	_start
elf:					// the ELF header
	.byte	0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0	// 64 bits, little-endian
	.short	2, 183			// an executable, for arm64
	.long	1			// version of the format
	.quad	_start			// the first instruction
	.quad	segments - elf, 0	// offset of the segments; no sections
	.long	0			// flags
	.short	64, 56, 2, 0, 0, 0	// sizes of this header and of a segment's; two segments; no sections
segments:
	.long	1, 5			// loaded; readable and executable
	.quad	0, BASE, BASE, end - elf, end - elf, 0x10000	// this file, at BASE, also where pages have 64 KiB
	.long	0x6474e551, 6		// the stack; readable and writable, not executable
	.quad	0, 0, 0, 0, 0, 16	// which has no place in the file

_start:
	// execve is seen by the socket's closing.
	mov	x8, 25			// fcntl
	mov	x0, SOCKET		// the socket
	mov	x1, 2			// F_SETFD
	mov	x2, 1			// FD_CLOEXEC
	svc	0			// call: without a descriptor 3, recvmsg will say so

	// One region at a fixed address; pages that are not touched cost nothing.
	mov	x8, 222			// mmap
	mov	x0, REGION		// there, and nowhere else
	mov	x1, REGION_SIZE		// so large
	mov	x2, 3			// PROT_READ | PROT_WRITE
	mov	w3, 0x4022		// MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
	movk	w3, 0x10, lsl 16	// MAP_FIXED_NOREPLACE
	mov	x4, -1			// no file
	mov	x5, 0			// at no offset
	svc	0			// call
	mov	x19, REGION		// x19: the region, from here on
	cmp	x0, x19			// is it where it must be?
	b.ne	give_up			// no: no memory, or something lies there

	mov	x21, 0			// no bytes received
	mov	x22, 0			// no control bytes received
	sub	sp, sp, 80		// room for a struct msghdr and, at 56, a struct iovec; at rest, for a set of signals
receive:
	mov	x9, CONTROL		// the limit of the image
	sub	x9, x9, x21		// less what has come: iov_len
	add	x10, x19, x21		// behind what has come: iov_base
	stp	x10, x9, [sp, 56]	// both
	add	x9, sp, 56		// the iovec: msg_iov
	mov	x10, 1			// msg_iovlen: one
	stp	xzr, xzr, [sp]		// msg_name, msg_namelen: no address wanted
	stp	x9, x10, [sp, 16]	// msg_iov, msg_iovlen
	add	x11, x19, CONTROL	// where control bytes are
	add	x11, x11, x22		// behind what has come: msg_control
	mov	x10, CONTROL_SIZE	// the limit of the control bytes
	sub	x10, x10, x22		// less what has come: msg_controllen
	stp	x11, x10, [sp, 32]	// both
	str	xzr, [sp, 48]		// msg_flags
	mov	x8, 212			// recvmsg
	mov	x0, SOCKET		// from the socket
	mov	x1, sp			// into the msghdr
	mov	x2, 0x40000000		// MSG_CMSG_CLOEXEC
	svc	0			// call
	cmp	x0, 0			// what does recvmsg say?
	b.le	give_up			// an error, or the end: the other side died
	ldr	w9, [sp, 48]		// msg_flags
	mov	w10, 0x28		// MSG_TRUNC | MSG_CTRUNC
	tst	w9, w10			// either?
	b.ne	refuse			// more than there is room for
	add	x21, x21, x0		// so many bytes now
	ldr	x9, [sp, 40]		// msg_controllen: what came
	cbz	x9, header		// no descriptors
	ldr	x10, [x11, 8]		// cmsg_level and cmsg_type
	mov	x12, 1			// SOL_SOCKET
	movk	x12, 1, lsl 32		// and SCM_RIGHTS
	cmp	x10, x12		// is it that?
	b.ne	refuse			// no: something that nobody asked for
	add	x22, x22, x9		// so many control bytes now
header:
	cmp	w21, HEADER		// did the first message have a header?
	b.lo	refuse			// no
	ldr	w9, [x19]		// its first word
	mov	w10, MAGIC_LOW		// what that must be,
	movk	w10, MAGIC_HIGH, lsl 16	// both halves
	cmp	w9, w10			// is it ours, for this machine, of this version?
	b.ne	refuse			// no
	ldr	w0, [x19, SIZE]		// the size of the image
	mov	w9, CONTROL		// the limit of it
	cmp	w0, w9			// is there room for it?
	b.hi	refuse			// no
	cmp	w21, w0			// how much of it is here?
	b.lo	receive			// less than all
	b.ne	refuse			// more than all
	ldr	w9, [x19, CONTROL_COUNT]	// the control bytes that belong to it
	cmp	w22, w9			// are all descriptors here, and no others?
	b.ne	refuse			// no

	// The parts must make up the whole: no sum of 64 bits overflows with counts of 32.
	ldr	w20, [x19, STEPS]	// offset of the steps
	cmp	w20, HEADER		// is it behind the header?
	b.lo	refuse			// no
	sub	w7, w20, 4		// w7: the last place for a result, for the checks below
	ldr	w21, [x19, STEP_COUNT]	// x21: the number of steps, from here on
	add	x22, x20, x21, lsl 6	// the steps, of 64 bytes, and what is before them
	ldr	w6, [x19, RULE_COUNT]	// w6: the number of rules, for the checks below
	add	x9, x22, x6, lsl 3	// the rules, of 8 bytes, and what is before them
	cmp	x9, x0			// is that all there is?
	b.ne	refuse			// no
	add	x20, x20, x19		// x20: the first step, from here on
	add	x22, x22, x19		// x22: the first rule, from here on

	// Check every step before the first call.
	mov	w23, 0			// the first step
	mov	x24, x20		// is here
	mov	w5, (REGION_SIZE - 4) & 0xffff	// w5: the last place to load from, for the checks below,
	movk	w5, (REGION_SIZE - 4) >> 16, lsl 16	// both halves
check:
	cmp	w23, w21		// was it the last?
	b.hs	perform			// yes: all is well
	ldrb	w9, [x24, LOADS]	// which arguments are loaded
	cmp	w9, 0x3f		// one bit for each of six
	b.hi	refuse			// there are others
	mov	w10, 5			// from the last argument
	add	x11, x24, ARGS		// the arguments
check_argument:
	lsr	w12, w9, w10		// its bit, lowest
	tbz	w12, 0, check_previous	// not loaded: any number will do
	ldr	x12, [x11, w10, uxtw 3]	// the offset
	cmp	x12, x5			// from within the region?
	b.hi	refuse			// no
check_previous:
	subs	w10, w10, 1		// the argument before
	b.pl	check_argument		// if there is one
	ldr	w9, [x24, INTO]		// where the result goes
	cmp	w9, HEADER		// behind the header?
	b.lo	refuse			// no
	cmp	w9, w7			// within the data?
	b.hi	refuse			// no
	ldrh	w9, [x24, FIRST_RULE]	// the first rule
	ldrb	w10, [x24, RULES]	// how many
	add	w11, w9, w10		// the end of them
	cmp	w11, w6			// are there so many?
	b.hi	refuse			// no
	add	x11, x22, x9, lsl 3	// the first of them
check_rule:
	subs	w10, w10, 1		// is there another?
	b.mi	check_next		// no
	ldr	w9, [x11, 4]		// where it leads
	cmp	w9, w23			// to a later step?
	b.ls	refuse			// no: such a program might never end
	cmp	w9, w21			// to one that is there, or to rest?
	b.hi	refuse			// no
	add	x11, x11, 8		// the rule after it
	b	check_rule		// check that
check_next:
	add	w23, w23, 1		// the step after it
	add	x24, x24, 64		// is there
	b	check			// check that

perform:
	mov	w23, 0			// the first step
next:
	cmp	w23, w21		// was it the last?
	b.hs	rest			// yes
	add	x24, x20, x23, lsl 6	// steps of 64 bytes, from the first
	ldrb	w9, [x24, LOADS]	// which arguments are loaded
	mov	w10, 5			// from the last argument
	add	x11, x24, ARGS		// the arguments
argument:
	ldr	x13, [x11, w10, uxtw 3]	// the number, or the offset of it
	lsr	w12, w9, w10		// which: its bit, lowest
	tbz	w12, 0, push_argument	// the number
	ldrsw	x13, [x19, x13]		// load it, with its sign
push_argument:
	str	x13, [sp, w10, uxtw 3]	// keep it
	subs	w10, w10, 1		// the argument before
	b.pl	argument		// if there is one
	ldp	x0, x1, [sp]		// the first and second argument
	ldp	x2, x3, [sp, 16]	// the third and fourth
	ldp	x4, x5, [sp, 32]	// the fifth and sixth
	ldr	w8, [x24]		// the call
	cmn	w8, 1			// is it one?
	b.eq	store			// no: the result is the first argument
	svc	0			// yes: make it
store:
	ldr	w9, [x24, INTO]		// where the result goes
	str	w0, [x19, x9]		// it goes there
	ldrb	w10, [x24, RULES]	// how many rules
	ldrh	w9, [x24, FIRST_RULE]	// the first of them
	add	x11, x22, x9, lsl 3	// is here
rule:
	subs	w10, w10, 1		// is there another?
	b.mi	no_rule			// no
	ldr	w9, [x11]		// the result that it speaks of
	cmp	w0, w9			// this one?
	b.eq	follow			// yes
	add	x11, x11, 8		// the rule after it
	b	rule			// does that?
follow:
	ldr	w23, [x11, 4]		// the step that it leads to
	b	next			// goes on
no_rule:
	add	w23, w23, 1		// the step after it
	cmn	x0, 4095		// is the result an error?
	b.lo	next			// no: go on

	neg	w2, w0			// third word of the report: the errno
	ldr	w1, [x24, NUMBER]	// second: the step
	mov	w0, FAILED		// first
	bl	report			// a call failed
	mov	x0, 1			// status
	b	exit			// end

refuse:
	mov	w2, EINVAL		// third word of the report
	mov	w1, 0			// second: no step but the image itself
	mov	w0, FAILED		// first
	bl	report			// the image is refused
give_up:
	mov	x0, 2			// status
exit:
	mov	x8, 94			// exit_group
	svc	0			// end

	// report sends the words w0, w1, w2 and returns what write returns.
report:
	stp	w0, w1, [sp]		// the first two words
	str	w2, [sp, 8]		// the third
	mov	x8, 64			// write: of all calls to send with, what a filter allows first
	mov	x0, SOCKET		// to the socket
	mov	x1, sp			// the words
	mov	x2, 12			// three of four bytes
	svc	0			// call
	ret				// x0: 12 if they were sent

rest:
	// Blocked signals wait for rt_sigtimedwait; others the kernel would keep from the first process of a namespace.
	mov	w9, SIGNALS_LOW		// a set of signals,
	movk	w9, SIGNALS_HIGH, lsl 16	// both halves
	str	x9, [sp, 16]		// behind the room for a report
	mov	x8, 135			// rt_sigprocmask
	mov	x0, 0			// SIG_BLOCK
	add	x1, sp, 16		// the set
	mov	x2, 0			// the old mask is of no interest
	mov	x3, 8			// size of a set
	svc	0			// call
	mov	w2, 0			// third word of the report
	mov	w1, 0			// second
	mov	w0, RESTING		// first
	bl	report			// it rests
	cmp	w0, 12			// does anybody know?
	mov	x0, 1			// status
	b.ne	exit			// no: end
	mov	x8, 436			// close_range
	mov	x0, 0			// from the first descriptor
	mov	w1, -1			// to the last
	mov	x2, 0			// no flags
	svc	0			// call
	mov	x8, 215			// munmap
	mov	x0, REGION		// the region
	mov	x1, REGION_SIZE		// all of it
	svc	0			// call
reap:
	mov	x8, 260			// wait4
	mov	x0, -1			// any child
	mov	x1, 0			// its status is of no interest
	mov	x2, 1			// WNOHANG
	mov	x3, 0			// nor is what it used
	svc	0			// call
	cmp	w0, 0			// was there one?
	b.gt	reap			// yes: perhaps another
	mov	x8, 137			// rt_sigtimedwait
	add	x0, sp, 16		// the set
	mov	x1, 0			// more about the signal is of no interest
	mov	x2, 0			// for ever
	mov	x3, 8			// size of a set
	svc	0			// call
	mov	w9, w0			// what it says
	mov	x0, 0			// status
	cmp	w9, SIGTERM		// asked to end?
	b.eq	exit			// yes
	cmp	w9, SIGINT		// or so?
	b.eq	exit			// yes
	cmp	w9, 0			// a signal?
	b.gt	reap			// SIGCHLD: a child ended
	cmn	w9, 4			// EINTR: stopped and continued?
	b.eq	reap			// yes
	mov	x0, 1			// no: the call is not allowed, and this would spin
	b	exit			// end
end:
