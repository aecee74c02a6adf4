package crash

import (
	"testing"

	"github.com/hull-pods/hull/internal/client"
)

// TestLostBeforeItBegan kills hulld while the first sandbox of a Pod without volumes is made, which may be before the Pod is on
// disk: then nobody knows its name any more, and all the same nothing is left of it.
func TestLostBeforeItBegan(t *testing.T) {
	h := start(t)
	descriptors := h.KeeperDescriptors()
	const manifest = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"lost"},"spec":{"containers":[
	{"name":"c","image":"localhost/hull/toolbox","command":["sleep","infinity"]}]}}`
	for range 5 {
		if err := h.Restart(h.ctx, "--failpoints", "network.veth=kill"); err != nil {
			t.Fatal(err)
		}
		dead := h.Daemon()
		// An answer may have been faster than the death.
		_ = h.API.Do(h.ctx, client.Request{Method: "POST", Path: podsPath, Body: []byte(manifest)}, nil)
		if err := h.Revive(h.ctx, dead); err != nil {
			t.Fatal(err)
		}
		h.remove("lost", 0)
	}
	h.clean(descriptors)
}
