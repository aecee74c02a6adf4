// Package logs writes what containers print into files in the CRI log format, each byte exactly once, and reads them.
//
// A line of a file is
//
//	2026-01-02T15:04:05.000000000Z stdout F what was printed
//
// with F for a full line, and P for a part of one: of a line longer than 16 KiB, or the rest that has no newline when the
// stream ends. All lines of one batch have the same time.
//
// # Writing, exactly once
//
// The daemon may be killed at any instruction, and the next one goes on. What survives: the pipes (the keeper has
// duplicates), the file, and a page in a small mapped file, the record. The in-flight pipe is empty but during a batch:
//
//	container ──► pipe ──splice──► in-flight pipe ──► nothing
//	                │ tee             (the bytes of one batch)
//	                └──► format ──► file
//
//	 1  look     tee the start of the container's pipe, up to 16 KiB, and cut after the last newline
//	 2  note     in the record: stream, time, the file and its size; then phase = noted
//	 3  splice   exactly those bytes into the in-flight pipe: all of them or none, whenever the process dies
//	 4  write    the lines, at the noted offset
//	 5  mark     phase = written
//	 6  drain    the in-flight pipe
//	 7  clear    phase = idle
//
// After a crash the record says what is left to do: noted and the in-flight pipe empty, clear: the bytes are still in the
// container's pipe. Noted and not empty, do 4 again, with the same bytes, the same time and the same offset, which makes the
// same file whether it was done in part, wholly or not at all. Written, do 6 again. The file is never truncated: somebody
// may be reading it. Was it renamed meanwhile, by whoever rotates it, it is found by its inode.
//
// A line that has no newline yet stays in the container's pipe and costs nothing here, unless it is 16 KiB long, or the
// pipe is full, or the stream has ended: then it is written as a part.
//
// A terminal cannot be looked at. Its output is first spliced into a second pipe that the keeper holds too, which takes the
// place of the container's pipe in the above: bytes move whole there as well, so the same holds.
//
// A full disk: the batch stays noted and in flight, the container's pipe fills, and its writers wait. The kernel has no
// event for room on a disk, so the write is tried again by a timer.
//
// # What a container costs
//
// Descriptors, in the daemon four: stdout, stderr, the in-flight pipe (one descriptor for both its ends), the file (with a
// terminal: the terminal, the line pipe, the in-flight pipe, the file); in the keeper the first three. Memory: some hundred
// bytes and one page of the record's file. Buffers and goroutines exist only while there is something to write.
package logs
