package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/hull-pods/hull/internal/store"
)

// watch answers with a line of JSON for each event until the client goes, the asked time is over or the server goes down.
func (s objects) watch(w http.ResponseWriter, r *http.Request, sel selection) error {
	f, err := s.form(r)
	if err != nil {
		return err
	}
	if f.accept.mediaType != typeJSON {
		return notAcceptable(typeJSON)
	}
	ctx, cancel := s.until(r.Context())
	defer cancel()
	var timeout <-chan time.Time
	if sel.TimeoutSeconds != nil {
		timer := time.NewTimer(time.Duration(*sel.TimeoutSeconds) * time.Second)
		defer timer.Stop()
		timeout = timer.C
	}
	initial := sel.version == 0
	if sel.SendInitialEvents != nil {
		initial = *sel.SendInitialEvents
	}
	events, err := s.cfg.Store.Watch(ctx, store.WatchOptions{
		Resource: s.st.Resource, Namespace: sel.namespace, Match: sel.match,
		Since: sel.version, Initial: initial, Bookmarks: sel.AllowWatchBookmarks,
		MarkInitial: sel.AllowWatchBookmarks && sel.SendInitialEvents != nil, Settled: true,
	})
	if err != nil {
		return err
	}
	s.settle(r)
	w.Header().Set("Content-Type", typeJSON)
	w.WriteHeader(http.StatusOK)
	out := http.NewResponseController(w)
	for {
		// What has come by now goes out before anybody waits.
		if err := out.Flush(); err != nil {
			return nil
		}
		select {
		case ev, ok := <-events:
			if !ok {
				return nil
			}
			if err := s.send(w, f, ev, events); err != nil {
				return nil // the client has gone
			}
		case <-timeout:
			return nil
		}
	}
}

// send writes an event, and those that are ready behind it.
func (s objects) send(w http.ResponseWriter, f *form, ev watch.Event, events <-chan watch.Event) error {
	var buf bytes.Buffer
	const enough = 64 << 10
	for more := true; more; {
		if err := f.event(&buf, ev); err != nil {
			s.cfg.Log.Error("an event cannot be sent", "error", err)
			return err
		}
		if buf.Len() >= enough {
			break
		}
		select {
		case ev, more = <-events:
		default:
			more = false
		}
	}
	_, err := w.Write(buf.Bytes())
	return err
}

// event writes one event in this form.
func (f *form) event(buf *bytes.Buffer, ev watch.Event) error {
	var v any = ev.Object
	if obj, ok := ev.Object.(store.Object); ok {
		var err error
		if v, err = f.object(obj); err != nil {
			return err
		}
	} else if st, ok := ev.Object.(*metav1.Status); ok {
		st.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return json.NewEncoder(buf).Encode(metav1.WatchEvent{Type: string(ev.Type), Object: runtime.RawExtension{Raw: raw}})
}
