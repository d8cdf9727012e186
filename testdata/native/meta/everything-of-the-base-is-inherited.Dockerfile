FROM shell
