package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hull-pods/hull/internal/api/v1alpha1"
	"github.com/hull-pods/hull/internal/client"
	"github.com/hull-pods/hull/internal/ui"
)

// own is the path of a verb of Hull's own.
func own(verb string) string { return "/apis/" + v1alpha1.GroupVersion + "/" + verb }

func (a *app) imageCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "image",
		Short:   "List, pull, load and remove images",
		Aliases: []string{"images"},
		Example: `  hull image ls
  hull image pull nginx:1.27
  hull image load < image.tar
  hull image rm nginx:1.27`,
	}
	cmd.AddCommand(a.imageList(), a.imagePull(), a.imageLoad(), a.imageRemove())
	return cmd
}

func (a *app) imageList() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "ls",
		Short:   "List the images that are present",
		Aliases: []string{"list"},
		Example: "  hull image ls -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			var list v1alpha1.ImageList
			if err := c.Do(cmd.Context(), client.Request{Path: own("images")}, &list); err != nil {
				return err
			}
			switch output {
			case "":
				return a.printImages(list)
			case "json", "yaml":
				return a.printAs(output, list)
			default:
				return fmt.Errorf(`--output must be "yaml" or "json"`)
			}
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "json or yaml")
	complete(cmd, "output", "json", "yaml")
	return cmd
}

func (a *app) printImages(list v1alpha1.ImageList) error {
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
	return ui.WriteColumns(a.out, lines, nil)
}

func (a *app) imagePull() *cobra.Command {
	return &cobra.Command{
		Use:     "pull NAME...",
		Short:   "Pull images from their registries",
		Example: "  hull image pull nginx docker.io/library/debian:12",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			for _, name := range args {
				bars := ui.NewBars(a.err)
				image, err := pull(cmd.Context(), c, name, bars)
				bars.Close()
				if err != nil {
					return err
				}
				a.printf("%s\n", image.ID)
			}
			return nil
		},
	}
}

// pull pulls an image, or joins the pull of it that is under way, and shows how far it is.
func pull(ctx context.Context, c *client.Client, name string, bars *ui.Bars) (image *v1alpha1.Image, err error) {
	body, err := c.Stream(ctx, client.Request{Method: "POST", Path: own("pull"), Body: v1alpha1.PullRequest{Image: name}})
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	defer func() { bars.End(name, err == nil) }()
	lines := json.NewDecoder(body)
	for {
		var e v1alpha1.PullEvent
		err := lines.Decode(&e)
		switch {
		case errors.Is(err, io.EOF):
			return nil, fmt.Errorf("pull %s: hulld ended before the pull did", name)
		case err != nil:
			return nil, fmt.Errorf("pull %s: %w", name, err)
		case e.Error != nil:
			return nil, &client.StatusError{Code: int(e.Error.Code), Reason: e.Error.Reason, Message: e.Error.Message}
		case e.Image != nil:
			return e.Image, nil
		case e.Progress != nil:
			layers := make([]ui.Layer, len(e.Progress.Layers))
			for i, l := range e.Progress.Layers {
				layers[i] = ui.Layer(l)
			}
			bars.Layers(name, layers)
		}
	}
}

// showPull shows a pull that hulld does for a Pod. How it ends is in the Pod's status and events, not here.
func (r *runner) showPull(ctx context.Context, image string) {
	_, _ = pull(ctx, r.client, image, r.bars)
}

func (a *app) imageLoad() *cobra.Command {
	var input string
	cmd := &cobra.Command{
		Use:   "load [-i FILE]",
		Short: "Load images from an OCI or docker archive, or an OCI layout directory",
		Example: `  hull image load -i image.tar
  docker save web | hull image load`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			archive := a.in
			if input != "" && input != "-" {
				r, err := openArchive(input)
				if err != nil {
					return err
				}
				defer func() { _ = r.Close() }()
				archive = r
			}
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			var list v1alpha1.ImageList
			if err := c.Do(cmd.Context(), client.Request{Method: "POST", Path: own("load"), Body: archive, Type: "application/x-tar"}, &list); err != nil {
				return err
			}
			for _, im := range list.Items {
				for _, n := range im.Names {
					a.printf("Loaded image: %s\n", n)
				}
				if len(im.Names) == 0 {
					a.printf("Loaded image ID: %s\n", im.ID)
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&input, "input", "i", "", "the archive or directory (default: standard input)")
	return cmd
}

// openArchive opens a file; a directory, which must be an OCI layout, is sent as the archive that it is when packed.
func openArchive(path string) (io.ReadCloser, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return os.Open(path)
	}
	return packed(path), nil
}

func (a *app) imageRemove() *cobra.Command {
	return &cobra.Command{
		Use:     "rm NAME...",
		Short:   "Remove images by name or ID",
		Aliases: []string{"remove"},
		Example: "  hull image rm nginx:1.7.9",
		Args:    cobra.MinimumNArgs(1),

		ValidArgsFunction: a.completeImages,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			var failed []error
			for _, name := range args {
				path := own("images/") + (&url.URL{Path: name}).EscapedPath()
				var gone v1alpha1.Image
				if err := c.Do(cmd.Context(), client.Request{Method: "DELETE", Path: path}, &gone); err != nil {
					failed = append(failed, err)
					continue
				}
				a.printf("Removed: %s\n", name)
			}
			return errors.Join(failed...)
		},
	}
}
