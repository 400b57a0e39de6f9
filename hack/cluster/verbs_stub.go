package main

import "github.com/spf13/cobra"

func (t *tool) up() *cobra.Command { return &cobra.Command{Use: "up"} }
func (t *tool) down() *cobra.Command { return &cobra.Command{Use: "down"} }
func (t *tool) status() *cobra.Command { return &cobra.Command{Use: "status"} }
func (t *tool) image() *cobra.Command { return &cobra.Command{Use: "image"} }
func (t *tool) load() *cobra.Command { return &cobra.Command{Use: "load"} }
