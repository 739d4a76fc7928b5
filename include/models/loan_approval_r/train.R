# Trains: a logistic regression on the features, kept as two columns of text.

source("task.R")
source("applications.R")

task <- read_task()
set.seed(task$seed) # nothing is random here; whatever is added will be repeatable
rows <- read_applications(task$data)
usual <- lapply(rows[task$features], usual_value)

fitted <- glm.fit(
  design_matrix(rows, task$features, usual),
  as.numeric(rows[[task$label]] == task$positive),
  family = binomial()
)
if (!fitted$converged) stop("the regression did not converge")
cat(sprintf("fitted in %d iterations, deviance %.1f\n", fitted$iter, fitted$deviance))

# A column that others determine has no coefficient: it adds nothing.
weights <- ifelse(is.na(fitted$coefficients), 0, fitted$coefficients)
model <- data.frame(
  feature = c("(intercept)", task$features),
  weight = exact(weights),
  usual = c("", exact(unlist(usual)))
)
write.csv(model, file.path(task$model, "weights.csv"), row.names = FALSE)
