package ui

import (
	"fmt"
	"time"
)

// Age writes a duration as kubectl does: the larger it is, the coarser.
func Age(d time.Duration) string {
	const day = 24 * time.Hour
	switch s, m, h := int(d.Seconds()), int(d.Minutes()), int(d.Hours()); {
	case d < 0:
		return "0s"
	case s < 120:
		return fmt.Sprintf("%ds", s)
	case m < 10 && s%60 != 0:
		return fmt.Sprintf("%dm%ds", m, s%60)
	case m < 180:
		return fmt.Sprintf("%dm", m)
	case h < 8 && m%60 != 0:
		return fmt.Sprintf("%dh%dm", h, m%60)
	case h < 48:
		return fmt.Sprintf("%dh", h)
	case h < 192 && h%24 != 0:
		return fmt.Sprintf("%dd%dh", h/24, h%24)
	case d < 2*365*day:
		return fmt.Sprintf("%dd", h/24)
	default:
		return fmt.Sprintf("%dy", h/24/365)
	}
}

// Bytes writes a size with three digits or so, as "61.2 MB".
func Bytes(n int64) string {
	const k = 1000
	units := []string{"B", "kB", "MB", "GB", "TB"}
	size, u := float64(n), 0
	for size >= k && u < len(units)-1 {
		size /= k
		u++
	}
	if u == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.3g %s", size, units[u])
}
