package proxy

import (
	"fmt"

	"go.uber.org/zap"

	"weir/config"
	persistence "weir/proxy/session"
)

// sessionKey returns the key of the cookies of pools that have none of their own, from the state directory,
// where it is made if it is not there; nil if c needs none, or has no directory for it.
func (s *Server) sessionKey(c *config.Config) ([]byte, error) {
	path := c.SessionKeyFile()
	if path == "" {
		return nil, nil
	}
	key, made, err := persistence.KeyFile(path)
	if err != nil {
		return nil, fmt.Errorf("state_dir: %w", err)
	}
	if made {
		s.log.Info("a key for session cookies was made", zap.String("file", path))
	}
	return key, nil
}
