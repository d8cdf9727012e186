FROM base
WORKDIR //a//b/
WORKDIR ./c/./d/
WORKDIR "/q uoted"
