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
// duplicates), the file, and a page in a small mapped file, the record. Each stream has an in-flight pipe beside the
// container's own. A byte is in the container's pipe, or in the in-flight pipe, or in the file and marked as such:
//
//	container ──► pipe ──splice──► in-flight pipe ──splice──► nothing
//	                                      │ tee
//	                                      └──► format ──► file
//
//	 1  fill     splice what the container's pipe has into the in-flight pipe: bytes move, or they do not, whenever the
//	             process dies; nobody has to remember anything
//	 2  look     tee the start of the in-flight pipe, up to 16 KiB, and cut after the last newline: that is the batch
//	 3  note     in the record: stream, length, time, how much is in flight, the file and its size; then phase = noted
//	 4  write    the lines, at the noted offset
//	 5  mark     phase = written
//	 6  drain    the batch out of the in-flight pipe
//	 7  clear    phase = idle
//
// After a crash the record says what is left to do. Noted: do 4 again, with the same bytes, the same time and the same
// offset, which makes the same file whether it was done in part, wholly or not at all. Written: do 6 again, to where the
// pipe holds what it held less the batch. There is one batch at a time for each file. The file is never truncated:
// somebody may be reading it. Was it renamed meanwhile, by whoever rotates it, it is found by its inode.
//
// A line that has no newline yet stays in flight, and is written as a part only when it is 16 KiB long, or the stream has
// ended, or it came in more than 256 pieces, which is what the in-flight pipe can grow to. It must not stay in the
// container's pipe: a write of more than fits into a pipe that is not empty wakes no epoll before it waits for room.
//
// The same holds for a terminal, of which the master takes the place of the container's pipe.
//
// A full disk: the batch stays noted and in flight, the pipes fill, and the container's writers wait. The kernel has no
// event for room on a disk, so the write is tried again by a timer.
//
// # What a container costs
//
// Descriptors, in the daemon five: stdout, stderr, an in-flight pipe for each (one descriptor for both its ends), the file;
// with a terminal three: the terminal, the in-flight pipe, the file. In the keeper the same but for the file. Memory: some
// hundred bytes and one page of the record's file. Buffers and goroutines exist only while there is something to write.
package logs
