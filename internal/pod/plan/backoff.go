package plan

import "time"

// The kubelet's times.
const (
	firstBackoff = 10 * time.Second
	maxBackoff   = 5 * time.Minute
	crashReset   = 10 * time.Minute // a container that ran so long starts from the first delay again
	pullReset    = 2 * maxBackoff   // likewise an image that was not asked for so long

	// RetryAfter is when an attempt that failed for no reason of its own schedule is made again.
	RetryAfter = 10 * time.Second

	firstVolumeRetry = 500 * time.Millisecond
	maxVolumeRetry   = 2*time.Minute + 2*time.Second

	// measureEvery is how often volumes with a limit are measured.
	measureEvery = 10 * time.Second

	// pullErrorShown is how long a container says ErrImagePull before it says ImagePullBackOff.
	pullErrorShown = time.Second

	// minGrace is the least that any container gets between SIGTERM and SIGKILL.
	minGrace = 2 * time.Second
)

// NextBackoff is the delay that goes with the container which replaces prev: prev's doubled, or the first one when there
// was none or prev ran long. It is kept with the new container, and the one that replaces that will be held back by it
// from the moment at which it ends. The very first replacement is not held back at all.
func NextBackoff(prev *Container) time.Duration {
	switch {
	case prev == nil:
		return 0
	case prev.Backoff == 0 || ranLong(prev):
		return firstBackoff
	}
	return min(2*prev.Backoff, maxBackoff)
}

// heldUntil is before when the container that replaces prev must not start; zero when it may at once.
func heldUntil(prev *Container) time.Time {
	if prev == nil || prev.Backoff == 0 || ranLong(prev) {
		return time.Time{}
	}
	return prev.FinishedAt.Add(prev.Backoff)
}

func ranLong(c *Container) bool { return c.FinishedAt.Sub(c.CreatedAt) > crashReset }

// Backoff is a delay that doubles with each failure.
type Backoff struct {
	Delay time.Duration
	Last  time.Time // of the last failure
}

// Failed is the back-off after one more failure.
func (b Backoff) Failed(now time.Time) Backoff {
	if b.Delay == 0 || now.Sub(b.Last) > pullReset {
		return Backoff{Delay: firstBackoff, Last: now}
	}
	return Backoff{Delay: min(2*b.Delay, maxBackoff), Last: now}
}

// Until is when the delay is over.
func (b Backoff) Until() time.Time { return b.Last.Add(b.Delay) }

// VolumeRetry is how long to wait after the n-th failure in a row, counted from 1, to make the Pod's volumes.
func VolumeRetry(n int) time.Duration {
	d := firstVolumeRetry
	for ; n > 1 && d < maxVolumeRetry; n-- {
		d *= 2
	}
	return min(d, maxVolumeRetry)
}
