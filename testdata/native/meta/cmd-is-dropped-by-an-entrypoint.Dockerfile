FROM shell
ENTRYPOINT exec tool
