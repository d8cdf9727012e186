ARG R=scratch
FROM $R
