package registry

import (
	"fmt"
	"io"
	"net/http"

	"github.com/containerd/errdefs"

	"github.com/hull-pods/hull/internal/image/class"
)

// tokenLimit is how much of a token server's answer is read.
const tokenLimit = 1 << 20

// tokenTransport bounds the answers of token servers, which containerd's library decodes in memory, however long they are. It
// knows them by their requests, which do not say what they accept: those for manifests and blobs do, and are bounded by the
// size that was announced.
type tokenTransport struct{ next http.RoundTripper }

func (t tokenTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(req)
	if err == nil && req.Header.Get("Accept") == "" {
		resp.Body = &tokenBody{ReadCloser: resp.Body, left: tokenLimit, host: req.URL.Host}
	}
	return resp, err
}

type tokenBody struct {
	io.ReadCloser
	left int
	host string
}

func (b *tokenBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= n; b.left < 0 {
		return 0, class.Of(fmt.Errorf("token server %s has sent more than %d bytes", b.host, tokenLimit), errdefs.ErrDataLoss)
	}
	return n, err
}
