package registry

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/hull-pods/hull/internal/image/class"
)

const (
	// tokenLimit is how much of a token server's answer is read.
	tokenLimit = 1 << 20
	// DocumentLimit is how long a manifest, an index or a config may be.
	DocumentLimit = 4 << 20
)

// boundTransport bounds the answers that containerd's library reads to their ends, however far those are: a token server's, which
// it decodes in memory, and a manifest that was asked for by its tag. It knows them by what their requests accept: nothing for a
// token, documents of JSON for the other. What is left are blobs, which are bounded by the size that was announced.
type boundTransport struct{ next http.RoundTripper }

func (t boundTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		return resp, err
	}
	switch accept := req.Header.Get("Accept"); {
	case accept == "":
		resp.Body = &boundBody{ReadCloser: resp.Body, what: "token server", host: req.URL.Host, limit: tokenLimit, left: tokenLimit}
	case strings.Contains(accept, "+json"):
		resp.Body = &boundBody{ReadCloser: resp.Body, what: "registry", host: req.URL.Host, limit: DocumentLimit, left: DocumentLimit}
	}
	return resp, nil
}

type boundBody struct {
	io.ReadCloser
	what, host  string
	limit, left int
}

func (b *boundBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= n; b.left < 0 {
		return 0, class.Of(fmt.Errorf("%s %s has sent more than %d bytes", b.what, b.host, b.limit), errdefs.ErrDataLoss)
	}
	return n, err
}
