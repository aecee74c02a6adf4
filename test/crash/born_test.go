package crash

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// births is how many Pods come and go in TestBirthsKilled.
const births = 200

// TestBirthsKilled kills processes at every stage of their birth, and infra processes as their sandboxes become ready, while Pods are
// made and removed.
func TestBirthsKilled(t *testing.T) {
	h := start(t)
	random := seedOf(t)
	descriptors := h.KeeperDescriptors()
	keeper := h.Keeper()
	over := make(chan struct{})
	var killing, work sync.WaitGroup
	shots := map[string]int{}
	r := rand.New(rand.NewPCG(random.Uint64(), 4))
	killing.Go(func() {
		for {
			select {
			case <-over:
				return
			case <-time.After(time.Duration(r.IntN(5000)) * time.Microsecond): // the moment is what is random
				h.shootBirths(keeper, r, shots)
			}
		}
	})
	for i := range 4 {
		r := rand.New(rand.NewPCG(random.Uint64(), 5))
		work.Go(func() {
			name := fmt.Sprintf("born%d", i)
			for range births / 4 {
				h.create(small(name))
				<-time.After(time.Duration(r.IntN(30000)) * time.Microsecond)
				h.remove(name, r.IntN(2))
				if t.Failed() {
					return
				}
			}
		})
	}
	work.Wait()
	close(over)
	killing.Wait()
	t.Logf("killed %v", shots)
	h.clean(descriptors)
}

// shootBirths kills one in a few of the keeper's children but the daemon, and counts them by name: that of a clone that has not
// come to its execve is the daemon's.
func (h *hull) shootBirths(keeper int, r *rand.Rand, shots map[string]int) {
	daemon := h.Daemon()
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", keeper))
	for _, list := range tasks {
		children, _ := os.ReadFile(list)
		for _, child := range strings.Fields(string(children)) {
			pid, err := strconv.Atoi(child)
			if err != nil || pid == daemon || r.IntN(6) != 0 {
				continue
			}
			line, err := os.ReadFile("/proc/" + child + "/cmdline")
			if err != nil || unix.Kill(pid, unix.SIGKILL) != nil {
				continue
			}
			name, _, _ := strings.Cut(string(line), "\x00")
			name, _, _ = strings.Cut(name, " ") // an infra process' goes on with its instance and sandbox
			shots[filepath.Base(name)]++
		}
	}
}
