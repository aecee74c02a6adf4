package api

import (
	"fmt"
	"io"
	"testing"
)

func BenchmarkGetPods100(b *testing.B) {
	h := newHull(b)
	for i := range 100 {
		h.create(fmt.Sprintf("p%03d", i))
	}
	for b.Loop() {
		resp := h.request("GET", podsPath, "", acceptTable)
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			b.Fatal(err)
		}
		resp.Body.Close()
	}
}

func BenchmarkCreatePod(b *testing.B) {
	h := newHull(b)
	i := 0
	for b.Loop() {
		i++
		h.create(fmt.Sprintf("p%d", i))
	}
}
