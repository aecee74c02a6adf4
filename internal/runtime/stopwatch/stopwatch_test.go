package stopwatch

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestLaps(t *testing.T) {
	for level, want := range map[slog.Level]int{slog.LevelDebug: 2, slog.LevelInfo: 0} {
		var out bytes.Buffer
		w := Start(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level})), "start", "0123")
		w.Lap("cgroup")
		w.Lap("pipes")
		if got := strings.Count(out.String(), "of=start id=0123 step="); got != want {
			t.Errorf("level %s: %d steps, want %d:\n%s", level, got, want, out.String())
		}
	}
}
