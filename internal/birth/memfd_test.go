package birth

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
)

// TestMemfdCannotBeWritten tries every way to change hull-init: through the descriptor, by opening it again, and through
// /proc/PID/exe of a process that runs it, as CVE-2019-5736 did.
func TestMemfdCannotBeWritten(t *testing.T) {
	f, err := Memfd()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	spoil := func(t *testing.T, f *os.File) {
		t.Helper()
		if _, err := f.WriteAt([]byte("#!"), 0); !errors.Is(err, unix.EPERM) {
			t.Errorf("write: %v, want EPERM", err)
		}
		for _, size := range []int64{0, 1 << 20} {
			if err := f.Truncate(size); !errors.Is(err, unix.EPERM) {
				t.Errorf("truncate to %d: %v, want EPERM", size, err)
			}
		}
		if _, err := unix.Mmap(int(f.Fd()), 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err == nil {
			t.Error("mapped for writing")
		}
		if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_FUTURE_WRITE); !errors.Is(err, unix.EPERM) {
			t.Errorf("seal: %v, want EPERM", err)
		}
	}
	spoil(t, f)
	t.Run("again", func(t *testing.T) {
		again, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), os.O_RDWR, 0)
		if errors.Is(err, unix.EACCES) {
			return // a plain user meets the mode
		}
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		spoil(t, again)
	})
	t.Run("exe", func(t *testing.T) {
		h := atRest(t, linux.Native, nil, nil)
		exe := fmt.Sprintf("/proc/%d/exe", h.cmd.Process.Pid)
		// While it runs, it cannot even be opened for writing.
		if w, err := os.OpenFile(exe, os.O_RDWR, 0); err == nil {
			w.Close()
			t.Error("a running hull-init was opened for writing")
		}
		// A descriptor that outlives the process is where the old attack went on.
		r, err := os.Open(exe)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		h.cmd.Process.Kill()
		h.cmd.Wait()
		w, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", r.Fd()), os.O_RDWR, 0)
		if errors.Is(err, unix.EACCES) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		spoil(t, w)
	})
	t.Run("mode", func(t *testing.T) {
		if err := f.Chmod(0o444); err == nil {
			seals, _ := unix.FcntlInt(f.Fd(), unix.F_GET_SEALS, 0)
			if seals&unix.F_SEAL_EXEC != 0 {
				t.Error("the mode changed in spite of F_SEAL_EXEC")
			}
		}
	})
}
