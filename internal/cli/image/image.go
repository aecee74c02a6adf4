// Package image is hull image: what images are here, and how they come and go.
package image

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hull-pods/hull/internal/api/v1alpha1"
	"github.com/hull-pods/hull/internal/cli/complete"
	"github.com/hull-pods/hull/internal/cli/console"
	"github.com/hull-pods/hull/internal/cli/env"
	"github.com/hull-pods/hull/internal/cli/hulld"
	"github.com/hull-pods/hull/internal/client"
	"github.com/hull-pods/hull/internal/ui"
)

// Command is hull image.
func Command(e *env.Env) *cobra.Command {
	cmd := console.Group(&cobra.Command{
		Use:     "image",
		Short:   "List, pull, load and remove images",
		Aliases: []string{"images"},
		Example: `  hull image ls
  hull image pull nginx:1.27
  hull image load < image.tar
  hull image rm nginx:1.27`,
	})
	cmd.AddCommand(imageList(e), imagePull(e), imageLoad(e), imageRemove(e))
	return cmd
}

func imageList(e *env.Env) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "ls",
		Short:   "List the images that are present",
		Aliases: []string{"list"},
		Example: "  hull image ls -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var list v1alpha1.ImageList
			if err := e.Do(cmd.Context(), client.Request{Path: hulld.Own("images")}, &list); err != nil {
				return err
			}
			if output != "" {
				return e.PrintAs(output, list)
			}
			return printImages(e, list)
		},
	}
	complete.Output(cmd, &output)
	return cmd
}

func printImages(e *env.Env, list v1alpha1.ImageList) error {
	lines := [][]string{{"IMAGE", "TAG", "IMAGE ID", "SIZE", "PULLED"}}
	for _, im := range list.Items {
		id := strings.TrimPrefix(im.ID, "sha256:")
		pulled := "<unknown>"
		if im.PulledAt != nil {
			pulled = ui.Age(time.Since(*im.PulledAt))
		}
		names := im.Names
		if len(names) == 0 {
			names = []string{"<none>:<none>"}
		}
		for _, n := range names {
			i := strings.LastIndexByte(n, ':')
			lines = append(lines, []string{n[:i], n[i+1:], id[:min(13, len(id))], ui.Bytes(im.Size), pulled})
		}
	}
	return ui.WriteTable(e.Out, lines)
}

func imagePull(e *env.Env) *cobra.Command {
	return &cobra.Command{
		Use:     "pull NAME...",
		Short:   "Pull images from their registries",
		Example: "  hull image pull nginx docker.io/library/debian:12",
		Args:    console.Args("image pull NAME...", "NAME", 1, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := e.Connect(cmd.Context())
			if err != nil {
				return err
			}
			for _, name := range args {
				bars := ui.NewBars(e.Err)
				image, err := Pull(cmd.Context(), c, name, bars)
				bars.Close()
				if err != nil {
					return err
				}
				e.Printf("%s\n", image.ID)
			}
			return nil
		},
	}
}

func imageLoad(e *env.Env) *cobra.Command {
	var input string
	cmd := &cobra.Command{
		Use:   "load [FILE|DIR]",
		Short: "Load images from an OCI or docker archive, or an OCI layout directory",
		Example: `  hull image load image.tar
  hull image load -i layout/
  docker save web | hull image load`,
		Args: console.Args("image load [FILE|DIR]", "", 0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				if input != "" {
					return errors.New("the archive is named twice, as an argument and by --input")
				}
				input = args[0]
			}
			archive := e.Input(cmd.Context())
			if input != "" && input != "-" {
				r, err := openArchive(input)
				if err != nil {
					return err
				}
				defer func() { _ = r.Close() }()
				archive = r
			}
			var list v1alpha1.ImageList
			if err := e.Do(cmd.Context(), client.Request{Method: "POST", Path: hulld.Own("load"), Body: archive, Type: "application/x-tar"}, &list); err != nil {
				return err
			}
			for _, im := range list.Items {
				for _, n := range im.Names {
					e.Printf("Loaded image: %s\n", n)
				}
				if len(im.Names) == 0 {
					e.Printf("Loaded image ID: %s\n", im.ID)
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&input, "input", "i", "", "the archive or directory (default: standard input)")
	return cmd
}

// openArchive opens a file. A directory, which must be an OCI layout, is sent as the archive that it is when packed: what the user may
// not read, hulld does not read for them.
func openArchive(path string) (io.ReadCloser, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return os.Open(path)
	}
	if _, err := os.Stat(filepath.Join(path, "oci-layout")); errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s is no OCI layout: there is no file oci-layout in it", path)
	}
	return packed(path), nil
}

func imageRemove(e *env.Env) *cobra.Command {
	return &cobra.Command{
		Use:     "rm NAME...",
		Short:   "Remove images by name or ID",
		Aliases: []string{"remove"},
		Example: "  hull image rm nginx:1.7.9",
		Args:    console.Args("image rm NAME...", "NAME", 1, -1),

		ValidArgsFunction: complete.Images(e),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := e.Connect(cmd.Context())
			if err != nil {
				return err
			}
			var failed []error
			for _, name := range args {
				if name == "" {
					failed = append(failed, errors.New("image name may not be empty"))
					continue
				}
				var gone v1alpha1.Image
				if err := c.Do(cmd.Context(), client.Request{Method: "DELETE", Path: hulld.Own("images/" + name)}, &gone); err != nil {
					failed = append(failed, err)
					continue
				}
				e.Printf("Removed: %s\n", name)
			}
			return errors.Join(failed...)
		},
	}
}
