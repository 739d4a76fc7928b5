# Predicts: the probability of approval, and yes where it is above one half.

source("task.R")
source("applications.R")

task <- read_task()
model <- read.csv(file.path(task$model, "weights.csv"))
usual <- setNames(as.list(model$usual), model$feature)

rows <- read_applications(task$data)
chances <- plogis(as.vector(design_matrix(rows, task$features, usual) %*% model$weight))
no <- setdiff(task$classes, task$positive)
predictions <- data.frame(
  row = rows$row,
  prediction = ifelse(chances > 0.5, task$positive, no),
  probability = exact(chances)
)
write.csv(predictions, task$predictions, row.names = FALSE, quote = FALSE)
