// Package assets carries the image that comes with Hull: the toolbox, a shell and the everyday commands.
//
// The image is made by the build, in two steps:
//
//	go run ./internal/assets/mkimage -o internal/assets/toolbox.tar    # and toolbox.digest
//	go build -tags toolbox ./cmd/hulld                                 # embeds them
//
// Without the tag a program builds all the same, and says that it has no toolbox.
package assets

// ToolboxName is the image's name. Its host, localhost, is no registry: the image is never pulled.
const ToolboxName = "localhost/hull/toolbox:latest"
