package linux

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOnePipeSpliceTee(t *testing.T) {
	f, err := OnePipe()
	if err != nil {
		t.Fatal(err)
	}
	one, err := TakeFD(f)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(one)
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p[0])
	if _, err := unix.Write(p[1], []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if n, err := Splice(p[0], one, 100); n != 5 || err != nil {
		t.Fatalf("splice: %d, %v", n, err)
	}
	if n, err := Splice(p[0], one, 100); n != 0 || err != unix.EAGAIN {
		t.Errorf("splice of an empty pipe: %d, %v", n, err)
	}
	if n, err := Tee(one, p[1], 4); n != 4 || err != nil {
		t.Fatalf("tee: %d, %v", n, err)
	}
	buf := make([]byte, 10)
	if n, err := unix.Read(p[0], buf); err != nil || string(buf[:n]) != "hell" {
		t.Errorf("teed %q, %v", buf[:n], err)
	}
	if n, err := unix.Read(one, buf); err != nil || string(buf[:n]) != "hello" {
		t.Errorf("left %q, %v", buf[:n], err)
	}
	unix.Close(p[1])
	if n, err := Tee(p[0], one, 4); n != 0 || err != nil {
		t.Errorf("tee at the end: %d, %v", n, err)
	}
}

func TestPipeHolds(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	fd, err := TakeFD(r)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := GrowPipe(fd, 1<<20); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 200<<10)); err != nil {
		t.Fatal(err)
	}
	if n, err := PipeHolds(fd); n != 200<<10 || err != nil {
		t.Errorf("holds %d, %v", n, err)
	}
	if events, err := Poll(fd, unix.POLLIN|unix.POLLOUT); events != unix.POLLIN || err != nil {
		t.Errorf("events %x, %v", events, err)
	}
}
