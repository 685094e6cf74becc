package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

func newFmt() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fmt FILE...",
		Short: "Lay configurations out in the usual way, comments kept",
		Long: `Lay configurations out in the usual way and print them: two spaces for a level, one space where one is enough, spaces
within braces, at most one empty line at a time. Comments, text in quotes and blocks of text stay as they are. What
the file says stays the same: a file that cannot be laid out safely is refused. With -w the files are rewritten; with
--check those that would change are listed, and the exit code is 1 if there are any. - is the standard input.`,
		Example: "weir fmt -w weir.yaml conf.d/*.yaml\nweir fmt --check weir.yaml",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("%s: name the files", cmd.CommandPath())
			}
			return nil
		},
	}
	write := cmd.Flags().BoolP("write", "w", false, "rewrite the files that change")
	check := cmd.Flags().Bool("check", false, "list the files that would change")
	cmd.MarkFlagsMutuallyExclusive("write", "check")
	cmd.RunE = verb(func(cmd *cobra.Command, args []string) error {
		differs := false
		var faults []error
		for _, path := range args {
			changed, err := formatFile(cmd, path, *write, *check)
			if err != nil {
				faults = append(faults, fmt.Errorf("%s: %w", path, bare(err)))
			}
			differs = differs || changed
		}
		if err := errors.Join(faults...); err != nil {
			return err
		}
		if *check && differs {
			return &failure{exitInvalid, nil}
		}
		return nil
	})
	return cmd
}

// formatFile formats one file, and reports whether it is otherwise then.
func formatFile(cmd *cobra.Command, path string, write, check bool) (changed bool, err error) {
	var text []byte
	if path == "-" {
		text, err = io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxConfig))
	} else {
		text, err = readConfig(path)
	}
	if err != nil {
		return false, err
	}
	if len(text) == maxConfig {
		return false, fmt.Errorf("it has more than %d bytes", maxConfig)
	}
	out, err := formatYAML(text)
	if err != nil {
		return false, err
	}
	changed = !bytes.Equal(out, text)
	switch {
	case check && changed:
		_, err = fmt.Fprintln(cmd.OutOrStdout(), path)
	case check:
	case write && path != "-":
		if changed {
			err = rewrite(path, out)
		}
	default:
		_, err = cmd.OutOrStdout().Write(out)
	}
	return changed, err
}

// rewrite replaces a file as a whole: who reads it meanwhile, a daemon that reloads for one, finds the old text
// or the new. A link is followed; mode and place stay.
func rewrite(path string, text []byte) (err error) {
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".weir-fmt-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(info.Mode().Perm()), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
