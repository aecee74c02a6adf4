package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/hull-pods/hull/internal/api/v1alpha1"
	"github.com/hull-pods/hull/internal/cli/hulld"
	"github.com/hull-pods/hull/internal/client"
	"github.com/hull-pods/hull/internal/ui"
)

// Pull pulls an image, or joins the pull of it that is under way, and shows how far it is.
func Pull(ctx context.Context, c *client.Client, name string, bars *ui.Bars) (image *v1alpha1.Image, err error) {
	body, err := c.Stream(ctx, client.Request{Method: "POST", Path: hulld.Own("pull"), Body: v1alpha1.PullRequest{Image: name}})
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
