-- stacks   Stacks as flame graphs want them.
--
-- Needs: nothing

CREATE OR REPLACE MACRO folded_name(text) AS
-- A name without what separates frames, columns or rows.
regexp_replace(text, '[;,"\s]', '_', 'g');

CREATE OR REPLACE MACRO stack_functions(ustack, kstack) AS
-- [caller, …, callee]: the user's functions, then the kernel's; [unknown] if neither.
list_transform(
  list_reverse(list_filter(
    string_split(
      coalesce(nullif(kstack || chr(10) || ustack, chr(10)), '[unknown]'), chr(10)),
    lambda line: line <> '')),
  lambda line: folded_name(line));

CREATE OR REPLACE MACRO folded_stack(ustack, kstack) AS
-- caller;…;callee
array_to_string(stack_functions(ustack, kstack), ';');

CREATE OR REPLACE MACRO folded(comm, ustack, kstack, value) AS
-- comm;caller;…;callee value
folded_name(comm) || ';' || folded_stack(ustack, kstack) || ' ' || value;
