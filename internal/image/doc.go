// Package image turns references into images that are pulled, verified and unpacked.
//
// A [Store] keeps them: names, packed content and unpacked layers, each layer once however many images share it. A
// container asks for an image's directories with [Store.Layers] and holds them, by a name of its own, until
// [Store.Release]; what no name and no holder needs is collected.
//
// The libraries are containerd's, in this process: its content store, metadata database, snapshotter and resolver. No
// other package of Hull sees them.
package image
