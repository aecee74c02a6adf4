package client

import (
	"strings"
	"testing"
)

// TestPath: a name that is none, or that leads up, is no request at all.
func TestPath(t *testing.T) {
	c := New("/nowhere.sock")
	for _, path := range []string{"/pods/", "/pods//status", "/pods/../pods", "/pods/.", "//pods"} {
		err := c.Do(t.Context(), Request{Method: "DELETE", Path: path}, nil)
		if err == nil || !strings.HasSuffix(err.Error(), " is no name") {
			t.Errorf("DELETE %s: %v", path, err)
		}
		if err := c.Exec(t.Context(), ExecOptions{Path: path}); err == nil || !strings.HasSuffix(err.Error(), " is no name") {
			t.Errorf("exec in %s: %v", path, err)
		}
	}
}
