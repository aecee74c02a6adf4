//go:build toolbox

package assets

import (
	_ "embed"
	"io"
	"strings"
)

//go:embed toolbox.tar
var toolbox string

//go:embed toolbox.digest
var digest string

// Toolbox returns the archive of the toolbox image, an OCI layout in a tar, and false when this build has none.
func Toolbox() (io.Reader, bool) { return strings.NewReader(toolbox), true }

// ToolboxVersion tells one toolbox image from another: the digest of its manifest.
func ToolboxVersion() string { return strings.TrimSpace(digest) }
