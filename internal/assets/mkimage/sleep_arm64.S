// sleep, for the toolbox image. For arm64.
//
// What most containers do most of the time shall cost next to nothing: this starts in a fortieth of the time of a Go program, and
// a signal that comes as early as it likes ends it, also when it is process 1, to which the kernel lets no signal through that is
// not handled. What it does not understand (an option, a mistake, an unusual number) is the whole toolbox's business.
//
// These are the instructions alone, wherever they lie; tiny.go puts the ELF header before them. After a change,
// "go test -run Assembled -update ./internal/assets/mkimage" renews the committed bytes. sleep_amd64.S is the same program, label by
// label.
//
// Registers that keep their meaning (a system call changes x0 only):
//	x19  the kernel's vector: argc, the arguments, 0, the environment
//	x20  the next argument		x21  seconds, all in all
//					x22  nanoseconds beside them

	.set	SYS_EXIT_GROUP, 94
	.set	SYS_NANOSLEEP, 101
	.set	SYS_RT_SIGACTION, 134
	.set	SYS_GETPID, 172
	.set	SYS_EXECVE, 221
	.set	EINTR, 4
	.set	FOREVER, 1 << 60	// this bit of the seconds

	.text
	.globl	_start
_start:
	mov	x19, sp			// the vector
	mov	x8, SYS_GETPID		// am I
	svc	#0			// process
	cmp	w0, #1			// 1?
	b.ne	arguments		// no: signals kill
	sub	sp, sp, #32		// room for a struct sigaction
	adr	x0, signalled		// where a signal goes
	stp	x0, xzr, [sp]		// the handler, no flags
	stp	xzr, xzr, [sp, #16]	// no restorer, an empty mask
	mov	w0, #15			// SIGTERM
	bl	handle			// is handled
	mov	w0, #2			// SIGINT
	bl	handle			// too
	mov	w0, #1			// SIGHUP
	bl	handle			// too
	mov	w0, #3			// SIGQUIT
	bl	handle			// too

arguments:
	ldr	x0, [x19]		// argc
	cmp	x0, #2			// is there an argument?
	b.lo	toolbox			// no: how sleep is called
	add	x20, x19, #16		// the first one
	mov	x21, #0			// no seconds
	mov	x22, #0			// no nanoseconds

argument:
	ldr	x1, [x20], #8		// its text, and the next one comes next
	cbz	x1, sleep		// none: that was all
	ldr	w2, [x1]		// four letters: behind every argument is more on the stack
	movz	w3, #('i' | 'n' << 8)	// "in
	movk	w3, #'f', lsl #16	// f"
	cmp	w2, w3			// is it?
	b.eq	forever			// yes
	movk	w3, #('f' | 'i' << 8), lsl #16	// "infi"
	cmp	w2, w3			// is it?
	b.ne	number			// no
	ldr	w2, [x1, #4]		// four more
	movz	w3, #('n' | 'i' << 8)	// "ni
	movk	w3, #('t' | 'y' << 8), lsl #16	// ty"
	cmp	w2, w3			// are they?
	b.ne	toolbox			// no: a mistake
	ldrb	w2, [x1, #8]		// and no more?
	cbnz	w2, toolbox		// more: a mistake
forever:
	orr	x21, x21, #FOREVER	// longer than anything
	b	argument		// on

number:
	mov	x4, #0			// its whole part
	mov	w5, #0			// how many digits
	mov	x6, #0			// its fraction, in nanoseconds
	movz	w7, #(100000000 & 0xffff)	// what the next decimal
	movk	w7, #(100000000 >> 16), lsl #16	// is worth
	mov	x9, #10			// digits' base
digit:
	ldrb	w2, [x1]		// a letter
	sub	w2, w2, #'0'		// as a digit
	cmp	w2, #9			// is it one?
	b.hi	point			// no
	add	w5, w5, #1		// one more
	cmp	w5, #9			// too many to count with?
	b.hi	toolbox			// yes: it knows what to do
	madd	x4, x4, x9, x2		// a place to the left, and the digit
	add	x1, x1, #1		// the next letter
	b	digit			// on
point:
	cmn	w2, #('0' - '.')	// a point?
	b.ne	unit			// no
decimal:
	ldrb	w2, [x1, #1]!		// the next letter
	sub	w2, w2, #'0'		// as a digit
	cmp	w2, #9			// is it one?
	b.hi	unit			// no
	add	w5, w5, #1		// one more
	madd	x6, x2, x7, x6		// what it is worth, to the fraction
	udiv	x7, x7, x9		// the next one is worth a tenth; nothing, after nine
	b	decimal			// on

unit:
	cbz	w5, toolbox		// no digit: a mistake
	mov	x3, #1			// seconds
	cmn	w2, #'0'		// the end?
	b.eq	add			// yes: they are seconds
	cmp	w2, #('s' - '0')	// s?
	b.eq	last			// seconds
	mov	x3, #60			// in a minute
	cmp	w2, #('m' - '0')	// m?
	b.eq	last			// minutes
	mov	x3, #3600		// in an hour
	cmp	w2, #('h' - '0')	// h?
	b.eq	last			// hours
	movz	x3, #(86400 & 0xffff)	// in
	movk	x3, #(86400 >> 16), lsl #16	// a day
	cmp	w2, #('d' - '0')	// d?
	b.ne	toolbox			// no: a mistake
last:
	ldrb	w2, [x1, #1]		// is the unit the end?
	cbnz	w2, toolbox		// no: a mistake
add:
	madd	x21, x4, x3, x21	// in seconds, to all of them
	madd	x22, x6, x3, x22	// in nanoseconds, to all of them
	b	argument		// on

sleep:
	movz	x3, #(1000000000 & 0xffff)	// nanoseconds
	movk	x3, #(1000000000 >> 16), lsl #16	// in a second
	udiv	x2, x22, x3		// are seconds
	msub	x3, x2, x3, x22		// and a rest
	add	x2, x2, x21		// to the seconds
	stp	x2, x3, [sp, #-16]!	// struct timespec: seconds, nanoseconds
again:
	mov	x0, sp			// so long
	mov	x1, sp			// and what is left comes here
	mov	x8, SYS_NANOSLEEP	// sleep
	svc	#0			// now
	cmn	w0, #EINTR		// woken?
	b.eq	again			// sleep on
	cmp	w0, #0			// exit code 0 if it slept
	cset	w0, ne			// else 1
	b	exit			// that is all

// signalled ends process 1 with the code that a shell would show for the signal in w0.
signalled:
	add	w0, w0, #128		// 128 and the signal
exit:
	mov	x8, SYS_EXIT_GROUP	// end
	svc	#0			// now

// handle sets the action on the stack for the signal in w0.
handle:
	mov	x1, sp			// the action
	mov	x2, #0			// the old one is of no interest
	mov	x3, #8			// size of a set of signals
	mov	x8, SYS_RT_SIGACTION	// set it
	svc	#0			// now
	ret				// done

toolbox:
	ldr	x2, [x19]		// argc
	adr	x0, path		// the toolbox
	add	x1, x19, #8		// with my arguments
	add	x2, x1, x2, lsl #3	// behind them, and a zero,
	add	x2, x2, #8		// my environment
	mov	x8, SYS_EXECVE		// goes on
	svc	#0			// in my place
	mov	w0, #127		// it is not there
	b	exit			// the code for that

path:
	.asciz	"/bin/toolbox"		// a link "sleep" led there once
	.balign	4			// whole instructions
