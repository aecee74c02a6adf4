# hull-init: what a new process is between clone and execve, and the infra container of a Pod. For amd64.
#
# It receives an image on descriptor 3 (wire.go has its layout, handshake.go the words), checks all of it, performs its
# steps in order, and reports the first that fails. Past the last step it rests. There is no stack frame, no handler, no
# memory but the region at REGION, which a resting process has given back.
#
# The file is the whole ELF executable, header included: it is assembled, linked at BASE and written out as plain bytes.
# After a change, "go test -run Assembled -update ." renews the committed bytes. init_arm64.S is the same program, label by
# label.
#
# Registers that keep their meaning:
#	rbx  REGION			r12  bytes received, then the number of steps
#	rbp  the first step		r13  control bytes received, then the first rule
#	r14  index of a step		r15  address of that step

	.intel_syntax noprefix

	.set	BASE, 0x400000		# where the program lies
	.set	REGION, 0x200000	# where the image and the descriptors' messages lie
	.set	REGION_SIZE, 0x1f0000	# of both
	.set	CONTROL, 0x1e0000	# offset of the descriptors' messages, and limit of the image
	.set	CONTROL_SIZE, REGION_SIZE - CONTROL
	.set	MAGIC, 'H' | 'I' << 8 | 'x' << 16 | 1 << 24

	# The header's fields.
	.set	SIZE, 4
	.set	STEPS, 8
	.set	STEP_COUNT, 12
	.set	RULE_COUNT, 16
	.set	CONTROL_COUNT, 20
	.set	HEADER, 24

	# A step's fields.
	.set	LOADS, 4
	.set	RULES, 5
	.set	FIRST_RULE, 6
	.set	INTO, 8
	.set	NUMBER, 12
	.set	ARGS, 16

	# Reports.
	.set	FAILED, 1
	.set	RESTING, 2

	.set	SOCKET, 3
	.set	EINVAL, 22
	.set	SIGINT, 2
	.set	SIGTERM, 15
	.set	SIGNALS, 1 << (SIGINT - 1) | 1 << (SIGTERM - 1) | 1 << (17 - 1)	# and SIGCHLD

	.text
	.globl	_start
elf:					# the ELF header
	.byte	0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0	# 64 bits, little-endian
	.short	2, 62			# an executable, for amd64
	.long	1			# version of the format
	.quad	_start			# the first instruction
	.quad	segments - elf, 0	# offset of the segments; no sections
	.long	0			# flags
	.short	64, 56, 2, 0, 0, 0	# sizes of this header and of a segment's; two segments; no sections
segments:
	.long	1, 5			# loaded; readable and executable
	.quad	0, BASE, BASE, end - elf, end - elf, 0x1000	# this file, at BASE
	.long	0x6474e551, 6		# the stack; readable and writable, not executable
	.quad	0, 0, 0, 0, 0, 16	# which has no place in the file

_start:
	# execve is seen by the socket's closing.
	mov	eax, 72			# fcntl
	mov	edi, SOCKET		# the socket
	mov	esi, 2			# F_SETFD
	mov	edx, 1			# FD_CLOEXEC
	syscall				# call: without a descriptor 3, recvmsg will say so

	# One region at a fixed address; pages that are not touched cost nothing.
	mov	eax, 9			# mmap
	mov	edi, REGION		# there, and nowhere else
	mov	esi, REGION_SIZE	# so large
	mov	edx, 3			# PROT_READ | PROT_WRITE
	mov	r10d, 0x104022		# MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE
	mov	r8, -1			# no file
	xor	r9d, r9d		# at no offset
	syscall				# call
	mov	ebx, REGION		# rbx: the region, from here on
	cmp	rax, rbx		# is it where it must be?
	jne	give_up			# no: no memory, or something lies there

	xor	r12d, r12d		# no bytes received
	xor	r13d, r13d		# no control bytes received
receive:
	# A struct iovec and a struct msghdr, pushed from their ends.
	mov	eax, CONTROL		# the limit of the image
	sub	rax, r12		# less what has come
	push	rax			# iov_len: what may still come
	lea	rax, [rbx + r12]	# behind what has come
	push	rax			# iov_base
	mov	rcx, rsp		# the iovec
	push	0			# msg_flags
	mov	eax, CONTROL_SIZE	# the limit of the control bytes
	sub	rax, r13		# less what has come
	push	rax			# msg_controllen
	lea	rax, [rbx + r13 + CONTROL]	# behind what has come
	push	rax			# msg_control
	push	1			# msg_iovlen: one
	push	rcx			# msg_iov
	push	0			# msg_namelen: no address wanted
	push	0			# msg_name
	mov	eax, 47			# recvmsg
	mov	edi, SOCKET		# from the socket
	mov	rsi, rsp		# into the msghdr
	mov	edx, 0x40000000		# MSG_CMSG_CLOEXEC
	syscall				# call
	mov	rcx, [rsp + 40]		# msg_controllen: what came
	mov	edx, [rsp + 48]		# msg_flags
	add	rsp, 72			# done with msghdr and iovec
	test	rax, rax		# what does recvmsg say?
	jle	give_up			# an error, or the end: the other side died
	test	edx, 0x28		# MSG_TRUNC | MSG_CTRUNC
	jnz	refuse			# more than there is room for
	add	r12, rax		# so many bytes now
	test	rcx, rcx		# did descriptors come?
	jz	header			# no
	mov	rax, [rbx + r13 + CONTROL + 8]	# cmsg_level and cmsg_type
	mov	rdx, 0x100000001	# SOL_SOCKET and SCM_RIGHTS
	cmp	rax, rdx		# is it that?
	jne	refuse			# no: something that nobody asked for
	add	r13, rcx		# so many control bytes now
header:
	cmp	r12d, HEADER		# did the first message have a header?
	jb	refuse			# no
	cmp	dword ptr [rbx], MAGIC	# is it ours, for this machine, of this version?
	jne	refuse			# no
	mov	eax, [rbx + SIZE]	# the size of the image
	cmp	eax, CONTROL		# is there room for it?
	ja	refuse			# no
	cmp	r12d, eax		# how much of it is here?
	jb	receive			# less than all
	jne	refuse			# more than all
	cmp	r13d, [rbx + CONTROL_COUNT]	# are all descriptors here, and no others?
	jne	refuse			# no

	# The parts must make up the whole: no sum of 64 bits overflows with counts of 32.
	mov	ebp, [rbx + STEPS]	# offset of the steps
	cmp	ebp, HEADER		# is it behind the header?
	jb	refuse			# no
	mov	r12d, [rbx + STEP_COUNT]	# r12: the number of steps, from here on
	mov	r13, r12		# the steps,
	shl	r13, 6			# of 64 bytes,
	add	r13, rbp		# and what is before them
	mov	ecx, [rbx + RULE_COUNT]	# the number of rules
	lea	rcx, [r13 + rcx * 8]	# the rules, of 8 bytes, and what is before them
	cmp	rcx, rax		# is that all there is?
	jne	refuse			# no
	add	rbp, rbx		# rbp: the first step, from here on
	add	r13, rbx		# r13: the first rule, from here on

	# Check every step before the first call.
	xor	r14d, r14d		# the first step
	mov	r15, rbp		# is here
check:
	cmp	r14d, r12d		# was it the last?
	jae	perform			# yes: all is well
	movzx	eax, byte ptr [r15 + LOADS]	# which arguments are loaded
	cmp	eax, 0x3f		# one bit for each of six
	ja	refuse			# there are others
	mov	ecx, 5			# from the last argument
check_argument:
	bt	eax, ecx		# is it loaded?
	jnc	check_previous		# no: any number will do
	cmp	qword ptr [r15 + ARGS + rcx * 8], REGION_SIZE - 4	# from within the region?
	ja	refuse			# no
check_previous:
	dec	ecx			# the argument before
	jns	check_argument		# if there is one
	mov	eax, [r15 + INTO]	# where the result goes
	cmp	eax, HEADER		# behind the header?
	jb	refuse			# no
	mov	ecx, [rbx + STEPS]	# the end of the data
	sub	ecx, 4			# less what a result takes
	cmp	eax, ecx		# within the data?
	ja	refuse			# no
	movzx	edx, word ptr [r15 + FIRST_RULE]	# the first rule
	movzx	ecx, byte ptr [r15 + RULES]	# how many
	lea	eax, [rdx + rcx]	# the end of them
	cmp	eax, [rbx + RULE_COUNT]	# are there so many?
	ja	refuse			# no
	lea	rdx, [r13 + rdx * 8]	# the first of them
check_rule:
	dec	ecx			# is there another?
	js	check_next		# no
	mov	eax, [rdx + 4]		# where it leads
	cmp	eax, r14d		# to a later step?
	jbe	refuse			# no: such a program might never end
	cmp	eax, r12d		# to one that is there, or to rest?
	ja	refuse			# no
	add	rdx, 8			# the rule after it
	jmp	check_rule		# check that
check_next:
	inc	r14d			# the step after it
	add	r15, 64			# is there
	jmp	check			# check that

perform:
	xor	r14d, r14d		# the first step
next:
	cmp	r14d, r12d		# was it the last?
	jae	rest			# yes
	mov	r15d, r14d		# the index,
	shl	r15, 6			# of steps of 64 bytes,
	add	r15, rbp		# from the first
	movzx	ecx, byte ptr [r15 + LOADS]	# which arguments are loaded
	mov	edx, 5			# from the last argument
argument:
	mov	rax, [r15 + ARGS + rdx * 8]	# the number, or the offset of it
	bt	ecx, edx		# which?
	jnc	push_argument		# the number
	movsxd	rax, dword ptr [rbx + rax]	# load it, with its sign
push_argument:
	push	rax			# keep it
	dec	edx			# the argument before
	jns	argument		# if there is one
	pop	rdi			# the first argument
	pop	rsi			# the second
	pop	rdx			# the third
	pop	r10			# the fourth
	pop	r8			# the fifth
	pop	r9			# the sixth
	mov	eax, [r15]		# the call
	cmp	eax, -1			# is it one?
	jne	make_call		# yes
	mov	rax, rdi		# no: the result is the first argument
	jmp	store			# without a call
make_call:
	syscall				# call
store:
	mov	ecx, [r15 + INTO]	# where the result goes
	mov	[rbx + rcx], eax	# it goes there
	movzx	ecx, byte ptr [r15 + RULES]	# how many rules
	movzx	edx, word ptr [r15 + FIRST_RULE]	# the first of them
	lea	rdx, [r13 + rdx * 8]	# is here
rule:
	dec	ecx			# is there another?
	js	no_rule			# no
	cmp	eax, [rdx]		# does it speak of this result?
	je	follow			# yes
	add	rdx, 8			# the rule after it
	jmp	rule			# does that?
follow:
	mov	r14d, [rdx + 4]		# the step that it leads to
	jmp	next			# goes on
no_rule:
	inc	r14d			# the step after it
	cmp	rax, -4095		# is the result an error?
	jb	next			# no: go on

	neg	eax			# the errno
	mov	edx, eax		# third word of the report
	mov	esi, [r15 + NUMBER]	# second: the step
	mov	edi, FAILED		# first
	call	report			# a call failed
	mov	edi, 1			# status
	jmp	exit			# end

refuse:
	mov	edx, EINVAL		# third word of the report
	xor	esi, esi		# second: no step but the image itself
	mov	edi, FAILED		# first
	call	report			# the image is refused
give_up:
	mov	edi, 2			# status
exit:
	mov	eax, 231		# exit_group
	syscall				# call

	# report sends the words edi, esi, edx and returns what write returns.
report:
	push	rdx			# the third word, and four bytes that stay here
	shl	rsi, 32			# the second in the high half
	or	rsi, rdi		# the first in the low one
	push	rsi			# before the third
	mov	eax, 1			# write: of all calls to send with, what a filter allows first
	mov	edi, SOCKET		# to the socket
	mov	rsi, rsp		# the words
	mov	edx, 12			# three of four bytes
	syscall				# call
	add	rsp, 16			# done with the words
	ret				# rax: 12 if they were sent

rest:
	# Blocked signals wait for rt_sigtimedwait; others the kernel would keep from the first process of a namespace.
	push	SIGNALS			# a set of signals
	mov	eax, 14			# rt_sigprocmask
	xor	edi, edi		# SIG_BLOCK
	mov	rsi, rsp		# the set
	xor	edx, edx		# the old mask is of no interest
	mov	r10d, 8			# size of a set
	syscall				# call
	xor	edx, edx		# third word of the report
	xor	esi, esi		# second
	mov	edi, RESTING		# first
	call	report			# it rests
	mov	edi, 1			# status
	cmp	eax, 12			# does anybody know?
	jne	exit			# no: end
	mov	eax, 436		# close_range
	xor	edi, edi		# from the first descriptor
	mov	esi, -1			# to the last
	xor	edx, edx		# no flags
	syscall				# call
	mov	eax, 11			# munmap
	mov	edi, REGION		# the region
	mov	esi, REGION_SIZE	# all of it
	syscall				# call
reap:
	mov	eax, 61			# wait4
	mov	rdi, -1			# any child
	xor	esi, esi		# its status is of no interest
	mov	edx, 1			# WNOHANG
	xor	r10d, r10d		# nor is what it used
	syscall				# call
	test	eax, eax		# was there one?
	jg	reap			# yes: perhaps another
	mov	eax, 128		# rt_sigtimedwait
	mov	rdi, rsp		# the set
	xor	esi, esi		# more about the signal is of no interest
	xor	edx, edx		# for ever
	mov	r10d, 8			# size of a set
	syscall				# call
	xor	edi, edi		# status 0
	cmp	eax, SIGTERM		# asked to end?
	je	exit			# yes
	cmp	eax, SIGINT		# or so?
	je	exit			# yes
	test	eax, eax		# a signal?
	jg	reap			# SIGCHLD: a child ended
	cmp	eax, -4			# EINTR: stopped and continued?
	je	reap			# yes
	mov	edi, 1			# no: the call is not allowed, and this would spin
	jmp	exit			# end
end:
