-- Health of every kind of Mainspring, read from the conditions that all of them have.
-- Argo CD calls this with the object in `obj` and expects {status, message}.

local function condition(kind)
  for _, found in ipairs(obj.status.conditions or {}) do
    if found.type == kind then
      return found
    end
  end
  return {status = "Unknown"}
end

local function health(status, found)
  return {status = status, message = found.message or found.reason or ""}
end

-- A status that speaks about an older spec says nothing about this one.
if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return {status = "Progressing", message = "Waiting for the operator to look at this version of the spec"}
end

local stalled = condition("Stalled")
if stalled.status == "True" then
  return health("Degraded", stalled)
end

local reconciling = condition("Reconciling")
if reconciling.status == "True" then
  return health("Progressing", reconciling)
end

local ready = condition("Ready")
if ready.status == "True" then
  return health("Healthy", ready)
end
return health("Progressing", ready)
