# sleep, for the toolbox image. For amd64.
#
# What most containers do most of the time shall cost next to nothing: this starts in a fortieth of the time of a Go program, and
# a signal that comes as early as it likes ends it, also when it is process 1, to which the kernel lets no signal through that is
# not handled. What it does not understand (an option, a mistake, an unusual number) is the whole toolbox's business.
#
# These are the instructions alone, wherever they lie; tiny.go puts the ELF header before them. After a change,
# "go test -run Assembled -update ./internal/assets/mkimage" renews the committed bytes. sleep_arm64.S is the same program, label by
# label.
#
# Registers that keep their meaning:
#	rbx  the kernel's vector: argc, the arguments, 0, the environment
#	r13  the next argument		r14  seconds, all in all
#					r15  nanoseconds beside them

	.intel_syntax noprefix

	.set	SYS_RT_SIGACTION, 13
	.set	SYS_NANOSLEEP, 35
	.set	SYS_GETPID, 39
	.set	SYS_EXECVE, 59
	.set	SYS_EXIT_GROUP, 231
	.set	SA_RESTORER, 0x04000000
	.set	EINTR, 4
	.set	FOREVER, 60		# this bit of the seconds

	.text
	.globl	_start
_start:
	mov	rbx, rsp		# the vector
	mov	eax, SYS_GETPID		# am I
	syscall				# process
	cmp	eax, 1			# 1?
	jne	arguments		# no: signals kill
	push	0			# struct sigaction: the mask
	lea	rax, [rip + signalled]	# where a signal goes
	push	rax			# the restorer, which is never called but must be there
	push	SA_RESTORER		# the flags
	push	rax			# the handler
	mov	edi, 15			# SIGTERM
	call	handle			# is handled
	mov	edi, 2			# SIGINT
	call	handle			# too
	mov	edi, 1			# SIGHUP
	call	handle			# too
	mov	edi, 3			# SIGQUIT
	call	handle			# too

arguments:
	cmp	qword ptr [rbx], 2	# is there an argument?
	jb	toolbox			# no: how sleep is called
	lea	r13, [rbx + 16]		# the first one
	xor	r14d, r14d		# no seconds
	xor	r15d, r15d		# no nanoseconds

argument:
	mov	rsi, [r13]		# its text
	test	rsi, rsi		# is there one?
	jz	sleep			# no: that was all
	add	r13, 8			# the next one comes next
	mov	edx, [rsi]		# four letters: behind every argument is more on the stack
	cmp	edx, 'i' | 'n' << 8 | 'f' << 16	# "inf"?
	je	forever			# yes
	cmp	edx, 'i' | 'n' << 8 | 'f' << 16 | 'i' << 24	# "infi"?
	jne	number			# no
	cmp	dword ptr [rsi + 4], 'n' | 'i' << 8 | 't' << 16 | 'y' << 24	# "nity"?
	jne	toolbox			# no: a mistake
	cmp	byte ptr [rsi + 8], 0	# and no more?
	jne	toolbox			# more: a mistake
forever:
	bts	r14, FOREVER		# longer than anything
	jmp	argument		# on

number:
	xor	eax, eax		# its whole part
	xor	ecx, ecx		# how many digits
	xor	r8d, r8d		# its fraction, in nanoseconds
	mov	r9d, 100000000		# what the next decimal is worth
digit:
	movzx	edx, byte ptr [rsi]	# a letter
	sub	edx, '0'		# as a digit
	cmp	edx, 9			# is it one?
	ja	point			# no
	inc	ecx			# one more
	cmp	ecx, 9			# too many to count with?
	ja	toolbox			# yes: it knows what to do
	imul	rax, rax, 10		# a place to the left
	add	rax, rdx		# and the digit
	inc	rsi			# the next letter
	jmp	digit			# on
point:
	cmp	edx, '.' - '0'		# a point?
	jne	unit			# no
decimal:
	inc	rsi			# the next letter
	movzx	edx, byte ptr [rsi]	# it
	sub	edx, '0'		# as a digit
	cmp	edx, 9			# is it one?
	ja	unit			# no
	inc	ecx			# one more
	imul	rdx, r9			# what it is worth
	add	r8, rdx			# to the fraction
	mov	r10, rax		# the division needs rax
	mov	rax, r9			# a tenth
	xor	edx, edx		# of
	mov	edi, 10			# what this one
	div	rdi			# was worth
	mov	r9, rax			# is the next one's worth; nothing, after nine
	mov	rax, r10		# the whole part is back
	jmp	decimal			# on

unit:
	test	ecx, ecx		# was there a digit?
	jz	toolbox			# no: a mistake
	mov	edi, 1			# seconds
	cmp	edx, -'0'		# the end?
	je	add			# yes: they are seconds
	cmp	edx, 's' - '0'		# s?
	je	last			# seconds
	mov	edi, 60			# in a minute
	cmp	edx, 'm' - '0'		# m?
	je	last			# minutes
	mov	edi, 3600		# in an hour
	cmp	edx, 'h' - '0'		# h?
	je	last			# hours
	mov	edi, 86400		# in a day
	cmp	edx, 'd' - '0'		# d?
	jne	toolbox			# no: a mistake
last:
	cmp	byte ptr [rsi + 1], 0	# is the unit the end?
	jne	toolbox			# no: a mistake
add:
	imul	rax, rdi		# in seconds
	add	r14, rax		# to all seconds
	imul	r8, rdi			# in nanoseconds
	add	r15, r8			# to all of them
	jmp	argument		# on

sleep:
	mov	rax, r15		# nanoseconds
	xor	edx, edx		# are
	mov	ecx, 1000000000		# seconds
	div	rcx			# and a rest
	add	r14, rax		# to the seconds
	push	rdx			# struct timespec: nanoseconds
	push	r14			# seconds
again:
	mov	rdi, rsp		# so long
	mov	rsi, rsp		# and what is left comes here
	mov	eax, SYS_NANOSLEEP	# sleep
	syscall				# now
	cmp	eax, -EINTR		# woken?
	je	again			# sleep on
	xor	edi, edi		# exit code 0
	test	eax, eax		# if it slept
	setnz	dil			# else 1
	jmp	exit			# that is all

# signalled ends process 1 with the code that a shell would show for the signal in edi.
signalled:
	sub	edi, -128		# 128 and the signal
exit:
	mov	eax, SYS_EXIT_GROUP	# end
	syscall				# now

# handle sets the action that lies above the return address for the signal in edi.
handle:
	lea	rsi, [rsp + 8]		# the action
	xor	edx, edx		# the old one is of no interest
	mov	r10d, 8			# size of a set of signals
	mov	eax, SYS_RT_SIGACTION	# set it
	syscall				# now
	ret				# done

toolbox:
	mov	rax, [rbx]		# argc
	lea	rdi, [rip + path]	# the toolbox
	lea	rsi, [rbx + 8]		# with my arguments
	lea	rdx, [rbx + rax * 8 + 16]	# and my environment
	mov	eax, SYS_EXECVE		# goes on
	syscall				# in my place
	mov	edi, 127		# it is not there
	jmp	exit			# the code for that

path:
	.asciz	"/bin/toolbox"		# a link "sleep" led there once
