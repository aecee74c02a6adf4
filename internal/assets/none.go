//go:build !toolbox

package assets

import "io"

// Toolbox returns the archive of the toolbox image, an OCI layout in a tar, and false when this build has none.
func Toolbox() (io.Reader, bool) { return nil, false }

// ToolboxVersion tells one toolbox image from another; it is empty when this build has none.
func ToolboxVersion() string { return "" }
