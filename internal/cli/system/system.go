// Package system is hull system: Hull itself, started, stopped, described and checked.
package system

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/hull-pods/hull/internal/api/v1alpha1"
	"github.com/hull-pods/hull/internal/cli/complete"
	"github.com/hull-pods/hull/internal/cli/console"
	"github.com/hull-pods/hull/internal/cli/env"
	"github.com/hull-pods/hull/internal/cli/hulld"
	"github.com/hull-pods/hull/internal/client"
)

// Command is hull system.
func Command(e *env.Env) *cobra.Command {
	cmd := console.Group(&cobra.Command{
		Use:   "system",
		Short: "Start, stop, describe and check Hull itself",
		Example: `  hull system info
  hull system check --repair
  hull system stop --delete-pods`,
	})
	cmd.AddCommand(systemStart(e), systemStop(e), systemInfo(e), systemCheck(e))
	return cmd
}

func systemStart(e *env.Env) *cobra.Command {
	return &cobra.Command{
		Use:   "start [-- HULLD-FLAG...]",
		Short: "Start hulld, if it does not run",
		Example: `  hull system start
  hull system start -- --pod-max-pids 1000`,
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, arg := range args {
				name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
				switch {
				case arg == name:
				case name == "root" || name == "state":
					return fmt.Errorf("--%s is hull's own flag, before the --: hull and hulld must agree on it", name)
				case slices.Contains([]string{"h", "help", "list-failpoints"}, name):
					return fmt.Errorf("hulld prints something and ends with that flag: run hulld %s", arg)
				}
			}
			if c, running := e.Running(cmd.Context()); running {
				if bySystemd() {
					return takeOver(cmd.Context(), e, c, args)
				}
				if len(args) > 0 {
					return fmt.Errorf("hulld is running already (root %s, state %s), and takes flags at its start only: hull system stop, then start it again", e.Root, e.State)
				}
				e.Printf("hulld is running (root %s, state %s)\n", e.Root, e.State)
				return nil
			}
			if os.Geteuid() != 0 {
				_, err := e.Connect(cmd.Context()) // says why not
				return err
			}
			return e.Start(cmd.Context(), args)
		},
	}
}

func systemStop(e *env.Env) *cobra.Command {
	var pods podsAtStop
	cmd := &cobra.Command{
		Use:   "stop [--delete-pods|--end-pods|--leave-pods]",
		Short: "Stop Hull; refused while Pods run, unless they may be deleted, ended or left alone",
		Example: `  hull system stop
  hull system stop --delete-pods
  hull system stop --end-pods     # they end as when they are deleted; hull system start brings them back
  hull system stop --leave-pods   # they run on without hulld; hull system start takes them over`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if pods.within < 0 || (pods.within > 0 && !pods.end) {
				return errors.New("--within is the longest grace period that --end-pods gives, above 0")
			}
			return stop(cmd.Context(), e, pods)
		},
	}
	cmd.Flags().BoolVar(&pods.remove, "delete-pods", false, "delete all Pods first")
	cmd.Flags().BoolVar(&pods.leave, "leave-pods", false, "stop hulld alone while Pods run, and let them run on")
	cmd.Flags().BoolVar(&pods.end, "end-pods", false, "end what runs of all Pods first, with its grace period; the Pods come back when Hull starts again")
	cmd.Flags().DurationVar(&pods.within, "within", 0, "with --end-pods: the longest grace period that any container gets (default: its Pod's own)")
	cmd.MarkFlagsMutuallyExclusive("delete-pods", "end-pods", "leave-pods")
	return cmd
}

// podsAtStop is what a stop does with Pods that run; refused without either.
type podsAtStop struct {
	remove, end, leave bool
	within             time.Duration // end
}

func (p podsAtStop) query() url.Values {
	q := url.Values{}
	if p.remove {
		q.Set("deletePods", "true")
	}
	if p.end {
		q.Set("endPods", "true")
	}
	if p.within > 0 {
		q.Set("within", p.within.String())
	}
	return q
}

func stop(ctx context.Context, e *env.Env, pods podsAtStop) error {
	c, running := e.Running(ctx)
	if running {
		err := askToStop(ctx, e, c, pods)
		if err != nil && (!pods.leave || !client.IsConflict(err)) {
			return err
		}
	}
	stopped, live, err := stopKeeper(ctx, e.State)
	if err != nil {
		return err
	}
	if live > 0 && (pods.end || pods.remove) && !running {
		// They run without hulld, which alone can end or delete them.
		if err := e.Start(ctx, nil); err != nil {
			return err
		}
		return stop(ctx, e, pods)
	}
	if live > 0 {
		if !pods.leave {
			return fmt.Errorf("hulld has stopped, but hull-keeper stays: %d processes that it keeps are alive: hull system start takes them over, "+
				"and hull system stop --delete-pods or --end-pods ends them", live)
		}
		e.Printf("hulld has stopped; hull-keeper and %d processes of Pods run on\n", live)
		return nil
	}
	if !running && !stopped {
		e.Printf("hulld is not running\n")
		return nil
	}
	e.Printf("stopped\n")
	return nil
}

// stopKeeper asks the keeper to end, which it does when hulld has ended and nothing that it keeps lives; otherwise it
// stays, and live is how many processes it keeps. It reports false when there is no keeper.
func stopKeeper(ctx context.Context, state string) (stopped bool, live int, err error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unixpacket", filepath.Join(state, "keeper.sock"))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return false, 0, nil
	}
	if errors.Is(err, fs.ErrPermission) {
		return false, 0, fmt.Errorf("no access to %s: only root can stop Hull", filepath.Join(state, "keeper.sock"))
	}
	if err != nil {
		return false, 0, fmt.Errorf("talk to hull-keeper: %w", err)
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if _, err := conn.Write([]byte(`{"do":"stop"}`)); err != nil {
		return false, 0, fmt.Errorf("talk to hull-keeper: %w", err)
	}
	var answer struct {
		Error  string `json:"error"`
		Live   int    `json:"live"`
		Keeper struct {
			Ends bool `json:"ends"`
		} `json:"keeper"`
	}
	if err := json.NewDecoder(conn).Decode(&answer); err != nil {
		return false, 0, fmt.Errorf("hull-keeper's answer: %w", err)
	}
	if answer.Error != "" {
		return false, 0, errors.New(answer.Error)
	}
	if !answer.Keeper.Ends {
		return false, answer.Live, nil
	}
	// Its end of the connection closes when it has ended.
	_, err = io.Copy(io.Discard, conn)
	return true, 0, err
}

func systemInfo(e *env.Env) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "info",
		Short:   "Show what this Hull is, and where it has its things",
		Example: "  hull system info -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var info v1alpha1.Info
			if err := e.Do(cmd.Context(), client.Request{Path: hulld.Own("info")}, &info); err != nil {
				return err
			}
			if output != "" {
				return e.PrintAs(output, &info)
			}
			for _, l := range [][2]string{
				{"Version", info.HullVersion}, {"Node", info.Node}, {"Kernel", info.Kernel}, {"Cgroups", info.Cgroups},
				{"Root", info.Root}, {"State", info.State}, {"Instance", info.Instance},
				{"hulld", fmt.Sprintf("PID %d, since %s", info.PID, info.StartedAt.Local().Format("2006-01-02 15:04:05"))},
				{"Pods", fmt.Sprintf("%d, with %d containers", info.Pods, info.Containers)}, {"Images", fmt.Sprint(info.Images)},
				{"Pod addresses", strings.Trim(info.IPv4+", "+info.IPv6, ", ")},
			} {
				e.Printf("%-15s%s\n", l[0]+":", l[1])
			}
			return nil
		},
	}
	complete.Output(cmd, &output)
	return cmd
}

func systemCheck(e *env.Env) *cobra.Command {
	var repair bool
	cmd := &cobra.Command{
		Use:   "check [--repair]",
		Short: "Look for what has no owner or stands in Hull's way, and repair it",
		Example: `  hull system check
  hull system check --repair`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := url.Values{}
			if repair {
				q.Set("repair", "true")
			}
			var report v1alpha1.CheckReport
			if err := e.Do(cmd.Context(), client.Request{Method: "POST", Path: hulld.Own("check"), Query: q}, &report); err != nil {
				return err
			}
			return printFindings(e, report.Findings)
		},
	}
	cmd.Flags().BoolVar(&repair, "repair", false, "remove what nobody owns, and put back what is Hull's own")
	return cmd
}

func printFindings(e *env.Env, findings []v1alpha1.Finding) error {
	if len(findings) == 0 {
		e.Printf("everything is in order\n")
		return nil
	}
	open := 0
	for _, f := range findings {
		switch {
		case f.Repaired:
			e.Printf("repaired: %s\n", f.What)
		case f.Error != "":
			e.Printf("found:    %s\n          could not be repaired: %s\n", f.What, f.Error)
			open++
		default:
			e.Printf("found:    %s\n", f.What)
			open++
		}
		if f.Advice != "" && !f.Repaired {
			e.Printf("          %s\n", f.Advice)
		}
	}
	if open > 0 {
		return fmt.Errorf("%d things are not in order", open)
	}
	return nil
}
